/* Sends a file to /uploads as a stream, with progress, and tells the page where it is kept. Dash's own upload would hold the
   whole file in memory twice. */
(function () {
  "use strict";

  let sending = null;

  function place() {
    return document.getElementById("data-sending");
  }

  function picker() {
    let input = document.getElementById("data-file");
    const parent = document.getElementById("data-file-place");
    if (!input && parent) {
      input = document.createElement("input");
      input.type = "file";
      input.id = "data-file";
      input.className = "visually-hidden";
      input.tabIndex = -1;
      input.accept = ".csv,.tsv,.txt,.gz,.xlsx,.parquet,.ndjson,.jsonl,.json";
      parent.appendChild(input);
    }
    return input;
  }

  function percent(share) {
    return new Intl.NumberFormat(document.documentElement.lang, { style: "percent" }).format(share);
  }

  function show(name, share) {
    const box = place();
    if (!box) {
      return;
    }
    box.replaceChildren();
    if (share === null) {
      return;
    }
    const head = document.createElement("div");
    const bar = document.createElement("div");
    const fill = document.createElement("div");
    head.className = "nv-progress-head";
    bar.className = "nv-progress-bar";
    fill.className = "nv-progress-fill";
    const label = document.createElement("bdi");
    label.textContent = name;
    const figure = document.createElement("span");
    figure.textContent = percent(share);
    head.append(label, figure);
    fill.style.inlineSize = share * 100 + "%";
    bar.append(fill);
    box.append(head, bar);
  }

  function fail(answer) {
    let problem = { code: "upload_failed", message: "" };
    try {
      const body = JSON.parse(answer);
      problem = { code: body.code || problem.code, message: body.detail || body.title || "" };
    } catch (error) {
      /* not ours: the shell has words for a failure without any */
    }
    window.dash_clientside.set_props("shell-error", { data: problem });
  }

  function send(file) {
    if (!file || sending) {
      return;
    }
    sending = new XMLHttpRequest();
    sending.open("POST", "/uploads?name=" + encodeURIComponent(file.name));
    sending.setRequestHeader("Content-Type", "application/octet-stream");
    sending.upload.onprogress = function (event) {
      show(file.name, event.lengthComputable && event.total ? event.loaded / event.total : 0);
    };
    sending.onloadend = function () {
      const request = sending;
      sending = null;
      show(file.name, null);
      picker().value = "";
      if (request.status >= 200 && request.status < 300) {
        const body = JSON.parse(request.responseText);
        window.dash_clientside.set_props("data-upload", { data: body.upload_id || body.id });
      } else {
        fail(request.responseText);
      }
    };
    show(file.name, 0);
    sending.send(file);
  }

  function dropZone(event) {
    return event.target.closest ? event.target.closest("#data-drop") : null;
  }

  document.addEventListener("click", function (event) {
    if (dropZone(event)) {
      event.preventDefault();
      picker().click();
    }
  });

  document.addEventListener("keydown", function (event) {
    if (dropZone(event) && (event.key === "Enter" || event.key === " ")) {
      event.preventDefault();
      picker().click();
    }
  });

  document.addEventListener("change", function (event) {
    if (event.target.id === "data-file") {
      send(event.target.files[0]);
    }
  });

  ["dragenter", "dragover", "dragleave", "drop"].forEach(function (kind) {
    document.addEventListener(kind, function (event) {
      const zone = dropZone(event);
      if (zone) {
        event.preventDefault();
        zone.classList.toggle("nv-upload-active", kind === "dragenter" || kind === "dragover");
        if (kind === "drop") {
          send(event.dataTransfer.files[0]);
        }
      }
    });
  });

  /* The label's file input has to exist before somebody opens it */
  document.addEventListener("pointerover", function (event) {
    if (dropZone(event)) {
      picker();
    }
  });
})();
