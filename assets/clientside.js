/* What the browser does by itself: the theme, keyboard shortcuts, a chart's table and picture, pausing where nobody looks.
   No dependencies. Clicks are handled on the document, because Dash draws and redraws the buttons. */
(function () {
  "use strict";

  const root = document.documentElement;
  const THEME_COOKIE = "nebuloviz_theme";
  const TOAST_MS = 8000;
  const SEQUENCE_MS = 1200;
  const DOUBLE_CLICK_MS = 350; // Plotly itself waits for 300
  const PLACES = { o: "/", e: "/explore", i: "/insights", a: "/alerts", d: "/data" };

  /* ------------------------------------------------------------ Where Plotly comes from */

  /* Dash has charts load Plotly from an address without a version, which browsers check on every visit. Chromium then throws
     away the compiled script as well, and compiles its five megabytes anew: half a second of each visit. */
  const plotlyAddress = root.dataset.nvPlotly;
  Object.defineProperty(window, "_dashPlotlyJSURL", { get: () => plotlyAddress, set: () => {} });

  /* ------------------------------------------------------------ Theme */

  const prefersDark = window.matchMedia("(prefers-color-scheme: dark)");

  /* The server reads the cookie to draw charts in the right colours at once. */
  function savedTheme() {
    const match = document.cookie.match(new RegExp("(?:^|; )" + THEME_COOKIE + "=(light|dark)"));
    return match ? match[1] : null;
  }

  function currentTheme() {
    return root.getAttribute("data-bs-theme") === "dark" ? "dark" : "light";
  }

  function setTheme(theme) {
    root.setAttribute("data-bs-theme", theme);
    const secure = window.location.protocol === "https:" ? "; Secure" : "";
    document.cookie = THEME_COOKIE + "=" + theme + "; Path=/; Max-Age=31536000; SameSite=Lax" + secure;
    window.dispatchEvent(new CustomEvent("nebuloviz:theme", { detail: theme }));
    /* The shell's store has all charts drawn anew; before the shell stands, the server reads the cookie. */
    if (document.getElementById("shell-frame-ready")) {
      window.dash_clientside.set_props("shell-theme", { data: theme });
    }
  }

  /* What the reader switches to is kept, and the system is followed no more. */
  function toggleTheme() {
    delete root.dataset.nvTheme;
    setTheme(currentTheme() === "dark" ? "light" : "dark");
    if (document.getElementById("shell-frame-ready")) {
      window.dash_clientside.set_props("shell-theme-choice", { data: currentTheme() });
    }
  }

  function followSystem() {
    if (root.dataset.nvTheme === "auto") {
      setTheme(prefersDark.matches ? "dark" : "light");
    }
  }

  /* This file runs before the page is drawn, so the first paint has the right colours already. */
  if (!root.hasAttribute("data-bs-theme") || savedTheme()) {
    setTheme(savedTheme() || (prefersDark.matches ? "dark" : "light"));
  }
  followSystem();
  prefersDark.addEventListener("change", followSystem);

  /* ------------------------------------------------------------ Plotly's languages */

  const waiting = [];

  /* Takes what nebuloviz.i18n.plotly_locale makes; Plotly may load later than the page. */
  function registerLocale(locale) {
    if (window.Plotly) {
      window.Plotly.register(locale);
    } else {
      waiting.push(locale);
    }
  }

  /* Dash hands a reader's zoom back to Plotly as if the page had asked for it, and with the next figure Plotly takes it for undone.
     So it is kept here, and goes into every new figure of the same question (its uirevision). */
  function keepZooms(loaded) {
    const react = loaded.react;
    loaded.react = function (graph, figure, ...more) {
      const zoom = graph.nebulovizZoom;
      const same = zoom && figure.layout && figure.layout.uirevision === zoom.revision;
      return react.call(this, graph, same ? zoomed(figure, zoom.axes) : figure, ...more);
    };
  }

  function zoomed(figure, axes) {
    const layout = Object.assign({}, figure.layout);
    Object.entries(axes).forEach(function ([name, axis]) {
      layout[name] = Object.assign({}, layout[name], axis);
    });
    return Object.assign({}, figure, { layout: layout });
  }

  let plotly = window.Plotly;
  if (!plotly) {
    Object.defineProperty(window, "Plotly", {
      configurable: true,
      get: function () {
        return plotly;
      },
      set: function (loaded) {
        plotly = loaded;
        keepZooms(loaded);
        Object.defineProperty(window, "Plotly", { value: loaded, writable: true, configurable: true });
        waiting.splice(0).forEach(function (locale) {
          loaded.register(locale);
        });
      },
    });
  }

  /* ------------------------------------------------------------ Charts */

  function cardOf(element) {
    return element.closest(".nv-card");
  }

  function showTable(button) {
    const card = cardOf(button);
    if (!card) {
      return;
    }
    const table = card.getAttribute("data-nv-view") !== "table";
    card.setAttribute("data-nv-view", table ? "table" : "chart");
    button.setAttribute("aria-pressed", String(table));
    if (table) {
      const behind = card.querySelector(".nv-behind");
      if (behind) {
        behind.focus({ preventScroll: true });
      }
    } else {
      window.dispatchEvent(new Event("resize"));
    }
  }

  /* The picture leaves the page, so it takes its title with it, and a ground that is not transparent. */
  function savePicture(button) {
    const card = cardOf(button);
    const graph = card && card.querySelector(".js-plotly-plot");
    if (!graph || !window.Plotly) {
      return;
    }
    const title = (graph.layout.meta && graph.layout.meta.title) || "";
    const ground = getComputedStyle(root).getPropertyValue("--nv-raised").trim();
    const margin = Object.assign({}, graph.layout.margin, { t: 52 });
    const layout = Object.assign({}, graph.layout, {
      title: { text: title, x: 0.01, xanchor: "left", y: 0.97, yanchor: "top" },
      margin: margin,
      paper_bgcolor: ground,
    });
    window.Plotly.downloadImage(
      { data: graph.data, layout: layout, config: { locale: graph._context.locale } },
      {
        format: "png",
        scale: 2,
        width: graph.clientWidth,
        height: graph.clientHeight + 40,
        filename: graph._context.toImageButtonOptions.filename || "nebuloviz",
      }
    );
  }

  function fullScreen(button) {
    const card = cardOf(button);
    if (document.fullscreenElement) {
      document.exitFullscreen();
    } else if (card && card.requestFullscreen) {
      card.requestFullscreen();
    }
  }

  /* Fixed ticks suit the whole range; a reader who zooms in gets ticks for what is left, until the zoom is undone. */
  function noteZoom(graph) {
    const drawn = graph._fullLayout || {};
    const axes = {};
    const ticks = {};
    ["xaxis", "yaxis"].forEach(function (name) {
      const axis = drawn[name];
      if (!axis || axis.fixedrange || axis._rangeInitial0 === undefined) {
        return;
      }
      const whole = String(axis.range) === String([axis._rangeInitial0, axis._rangeInitial1]);
      if (!whole) {
        axes[name] = { range: axis.range.slice(), autorange: false, tickmode: "auto", nticks: 7 };
      }
      const mode = whole ? "array" : "auto";
      if ((graph.layout[name] || {}).tickvals && axis.tickmode !== mode) {
        ticks[name + ".tickmode"] = mode;
        ticks[name + ".nticks"] = whole ? null : 7;
      }
    });
    graph.nebulovizZoom = Object.keys(axes).length ? { revision: drawn.uirevision, axes: axes } : null;
    if (Object.keys(ticks).length) {
      window.Plotly.relayout(graph, ticks);
    }
  }

  /* A click asks for what lies there, two undo the zoom: of a zoomed chart a click waits for whether another follows. Where that
     one has begun by then, on a busy machine, it is waited for once more. */
  function letDoubleClicksPass(graph) {
    const emit = graph.emit;
    let waiting = 0;
    let doubled = 0;
    let pressed = false;
    function wait(then) {
      pressed = false;
      window.clearTimeout(waiting);
      waiting = window.setTimeout(() => (pressed ? wait(then) : then()), DOUBLE_CLICK_MS);
    }
    graph.addEventListener("mousedown", () => (pressed = true), true);
    graph.emit = function (name, ...data) {
      if (name === "plotly_doubleclick") {
        window.clearTimeout(waiting);
        doubled = Date.now();
      } else if (name === "plotly_click" && Date.now() - doubled < DOUBLE_CLICK_MS) {
        return undefined; // its second half
      } else if (name === "plotly_click" && graph.nebulovizZoom) {
        wait(() => emit.call(graph, name, ...data));
        return undefined;
      }
      return emit.call(graph, name, ...data);
    };
  }

  function watchGraphs() {
    document.querySelectorAll(".nv-graph .js-plotly-plot").forEach(function (graph) {
      if (graph.on && !graph.nebulovizWatched) {
        graph.nebulovizWatched = true;
        noteZoom(graph); // of a reader who was faster
        letDoubleClicksPass(graph);
        graph.on("plotly_relayout", function () {
          noteZoom(graph);
        });
      }
    });
  }

  /* ------------------------------------------------------------ Help, toasts, clicks */

  function openHelp() {
    const dialog = document.getElementById("nv-help");
    if (dialog && dialog.showModal && !dialog.open) {
      dialog.showModal();
    }
  }

  const ACTIONS = {
    theme: toggleTheme,
    table: showTable,
    png: savePicture,
    full: fullScreen,
    help: openHelp,
    close: function (button) {
      const dialog = button.closest("dialog");
      if (dialog) {
        dialog.close();
      }
    },
  };

  document.addEventListener("click", function (event) {
    const target = event.target.closest ? event.target.closest("[data-nv-action], [data-nv-dismiss]") : null;
    if (!target) {
      return;
    }
    if (target.hasAttribute("data-nv-dismiss")) {
      const toast = target.closest(".nv-toast");
      if (toast) {
        toast.hidden = true;
        toast.style.display = "none";
      }
      return;
    }
    const act = ACTIONS[target.getAttribute("data-nv-action")];
    if (act) {
      act(target);
    }
  });

  function expireToasts() {
    document.querySelectorAll(".nv-toast:not([data-nv-timed])").forEach(function (toast) {
      toast.setAttribute("data-nv-timed", "");
      if (toast.getAttribute("role") !== "alert") {
        window.setTimeout(function () {
          toast.style.display = "none";
        }, TOAST_MS);
      }
    });
  }

  /* ------------------------------------------------------------ Keyboard */

  function typing(element) {
    return Boolean(
      element && (element.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(element.tagName) || element.closest("dialog[open]"))
    );
  }

  /* Follows the rail's own link, so that Dash changes the page without loading it anew. */
  function go(path) {
    const link = Array.from(document.querySelectorAll(".nv-rail a")).find(function (candidate) {
      return new URL(candidate.href).pathname.replace(/(.)\/$/, "$1") === path;
    });
    if (link) {
      link.click();
    } else {
      window.location.assign(path);
    }
  }

  /* A search field gets the focus; a dropdown opens, for its search field is inside. Without either shell.js opens the filters. */
  function focusSearch() {
    const search = document.querySelector("[data-nv-search] input, [data-nv-search] button");
    if (!search) {
      return;
    }
    search.focus();
    if (search.tagName === "BUTTON") {
      search.click();
    }
  }

  let prefixAt = 0;

  document.addEventListener("keydown", function (event) {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) {
      return;
    }
    const prefixed = event.timeStamp - prefixAt < SEQUENCE_MS && prefixAt > 0;
    prefixAt = 0;
    if (prefixed && PLACES[event.key]) {
      go(PLACES[event.key]);
    } else if (event.key === "g") {
      prefixAt = event.timeStamp;
      return;
    } else if (event.key === "/") {
      focusSearch();
    } else if (event.key === "?") {
      openHelp();
    } else if (event.key === "t") {
      const button = document.querySelector("button[data-nv-theme]");
      button ? button.click() : toggleTheme();
    } else {
      return;
    }
    event.preventDefault();
  });

  /* ------------------------------------------------------------ Watching the page */

  let planned = false;

  /* Dash's own field for a file has no name: it is called what its place says. */
  function nameFileFields() {
    document.querySelectorAll("input[type=file]:not([aria-label])").forEach(function (field) {
      if (!field.labels.length) {
        field.setAttribute("aria-label", field.parentElement.innerText.trim());
      }
    });
  }

  function tend() {
    planned = false;
    watchGraphs();
    expireToasts();
    nameFileFields();
  }

  new MutationObserver(function () {
    if (!planned) {
      planned = true;
      window.setTimeout(tend, 100);
    }
  }).observe(root, { childList: true, subtree: true });

  /* ------------------------------------------------------------ For Dash */

  window.nebuloviz = {
    registerLocale: registerLocale,
    setTheme: setTheme,
    toggleTheme: toggleTheme,
    currentTheme: currentTheme,
  };

  window.dash_clientside = window.dash_clientside || {};
  window.dash_clientside.nebuloviz = {
    /* ClientsideFunction("nebuloviz", "visible"): Input(interval, "n_intervals") -> a store's data, but not in a hidden tab. */
    visible: function (ticks) {
      return document.hidden ? window.dash_clientside.no_update : ticks;
    },
    /* ClientsideFunction("nebuloviz", "toggleTheme"): Input(theme button, "n_clicks") -> a store's data, the theme now. */
    toggleTheme: function (clicks) {
      if (clicks) {
        toggleTheme();
      }
      return currentTheme();
    },
  };
})();
