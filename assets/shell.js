/* The frame's own behaviour: menus that close, tabs that rest while hidden, sessions that end, focus after navigation. */
(function () {
  "use strict";

  /* ------------------------------------------------------------ Hidden tabs ask nothing */

  function rest() {
    if (document.getElementById("shell-frame-ready")) {
      window.dash_clientside.set_props("shell-interval", { max_intervals: document.hidden ? 0 : -1 });
    }
  }

  document.addEventListener("visibilitychange", rest);

  /* ------------------------------------------------------------ A server that does not answer */

  const LOOK_MS = 1000;
  let answered = Date.now();

  /* An age that is not asked for any more would stand still, and look as if all were well. */
  function tellSilence() {
    const words = document.querySelector("[data-nv-patience]");
    if (!words || document.hidden) {
      answered = Date.now(); // nothing is asked
    }
    const patience = words ? Number(words.getAttribute("data-nv-patience")) * 1000 : Infinity;
    document.documentElement.classList.toggle("nv-silent", Date.now() - answered > patience);
  }

  window.setInterval(tellSilence, LOOK_MS);

  /* No need to wait for an answer that will not come. The clock rests while the page asks for news, and Dash forgets to start it
     again where the answer is a failure: without this, a page would stay silent when its server is back. */
  function nobodyThere() {
    answered = 0;
    tellSilence();
    window.setTimeout(function () {
      window.dash_clientside.set_props("shell-interval", { disabled: false });
    }, LOOK_MS);
  }

  /* What was asked while nobody was there, by what had changed: it is asked again, but for clicks, which may be forgotten by then. */
  const lost = new Map();
  const CLICKS = /\.(n_clicks|n_submit|n_intervals)$/;

  function lose(resource, body) {
    if (!String(resource).includes("/_dash-update-component") || typeof body !== "string") {
      return;
    }
    const asked = JSON.parse(body);
    const changed = asked.changedPropIds || [];
    const given = (asked.inputs || []).flat();
    if (!changed.length) {
      lost.set("", null); // the page itself, as it was first drawn
    }
    changed.filter((name) => !CLICKS.test(name)).forEach(function (name) {
      const input = given.find((each) => typeof each.id === "string" && each.id + "." + each.property === name);
      lost.set(name, input || null);
    });
  }

  function backAgain() {
    if (!lost.size) {
      return;
    }
    const again = Array.from(lost.values()).filter(Boolean);
    const anew = lost.has("");
    lost.clear();
    if (anew) {
      window.location.reload();
      return;
    }
    again.concat({ id: "shell-stamp", property: "data", value: "" }).forEach(function (input) {
      window.dash_clientside.set_props(input.id, { [input.property]: input.value });
    });
  }

  /* ------------------------------------------------------------ A session that has ended */

  const ask = window.fetch;
  let leaving = false;

  /* Dash would only log the refusal; the reader is taken to the sign-in page, and from there back to the same view. */
  window.fetch = async function (resource, options) {
    const address = typeof resource === "string" ? resource : resource.url;
    let answer;
    try {
      answer = await ask.call(this, resource, options);
    } catch (error) {
      if (error.name !== "AbortError") {
        lose(address, options && options.body);
        nobodyThere();
      }
      throw error;
    }
    if (answer.status >= 502 && answer.status <= 504) {
      lose(address, options && options.body);
      nobodyThere(); // says the proxy
    } else {
      answered = Date.now();
      backAgain();
    }
    if (answer.status !== 401 || !address.includes("/_dash-")) {
      return answer;
    }
    if (!leaving) {
      leaving = true;
      const here = window.location.pathname + window.location.search;
      window.location.assign("/login?next=" + encodeURIComponent(here));
    }
    return new Promise(function () {}); // the page is left; Dash need not stumble over the refusal first
  };

  /* ------------------------------------------------------------ Menus */

  function closeMenus(except) {
    document.querySelectorAll("details.nv-menu[open]").forEach(function (menu) {
      if (menu !== except) {
        menu.open = false;
      }
    });
  }

  /* Dash draws the lists and calendars of a menu's controls outside of it. */
  function belongsToMenu(element) {
    return element.closest(".dash-dropdown-content, .dash-datepicker-content, [data-radix-popper-content-wrapper]");
  }

  document.addEventListener("pointerdown", function (event) {
    if (!belongsToMenu(event.target)) {
      closeMenus(event.target.closest("details.nv-menu"));
    }
  });

  /* A way to another page has been taken, and the menu is of no more use. */
  document.addEventListener("click", function (event) {
    if (event.target.closest("details.nv-menu a")) {
      closeMenus(null);
    }
  });

  document.addEventListener("keydown", function (event) {
    const menu = document.querySelector("details.nv-menu[open]");
    if (event.key === "Escape" && menu && !document.querySelector(".dash-dropdown-content")) {
      menu.open = false;
      menu.querySelector("summary").focus();
    }
  });

  /* Where a page has no search of its own, `/` opens the filters, whose lists are searched by typing. */
  document.addEventListener(
    "keydown",
    function (event) {
      const menu = document.getElementById("filter-panel");
      const busy = /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName) || document.querySelector("dialog[open]");
      if (event.key === "/" && menu && menu.offsetParent && !busy && !document.querySelector("[data-nv-search]")) {
        event.preventDefault();
        event.stopPropagation();
        if (!menu.open) {
          menu.querySelector("summary").click();
        }
        const list = menu.querySelector(".nv-select-values");
        if (list) {
          window.setTimeout(() => list.click()); // by then the key is up to nobody: a list that has the focus would take it for a search
        }
      }
    },
    true
  );

  /* On a phone the bar has room for a few entries: "More" shows the others above it, until one is chosen or the finger goes elsewhere. */
  function unfold(open) {
    const more = document.querySelector(".nv-rail-more");
    if (more) {
      more.setAttribute("aria-expanded", String(open));
      more.closest(".nv-rail").classList.toggle("nv-rail-open", open);
    }
  }

  document.addEventListener("click", function (event) {
    const more = event.target.closest(".nv-rail-more");
    unfold(Boolean(more) && more.getAttribute("aria-expanded") !== "true");
  });

  document.addEventListener("keydown", function (event) {
    const more = document.querySelector(".nv-rail-more[aria-expanded=true]");
    if (event.key === "Escape" && more) {
      unfold(false);
      more.focus();
    }
  });

  /* ------------------------------------------------------------ For Dash */

  window.dash_clientside = window.dash_clientside || {};
  window.dash_clientside.shell = {
    /* Preferences that change every word on the page. */
    reload: function (saved) {
      if (saved) {
        window.location.reload();
      }
      return window.dash_clientside.no_update;
    },

    /* What was created on a page for something new has an address of its own now, which loading the page again leads to. */
    settle: function (created) {
      const here = window.location.pathname;
      if (created && here.endsWith("/new")) {
        window.history.replaceState(window.history.state, "", here.replace(/new$/, encodeURIComponent(created)));
      }
      return window.dash_clientside.no_update;
    },

    /* (URL's path, its query, the links' ids) -> the links' targets and classes: range and filters go along to other pages. */
    follow: function (path, search, ids) {
      const carried = document.querySelector("[data-nv-carried]").getAttribute("data-nv-carried").split(" ");
      const params = Array.from(new URLSearchParams(search || "")).filter(function (param) {
        return carried.includes(param[0]) || param[0].startsWith("f.");
      });
      const query = params.length ? "?" + new URLSearchParams(params) : "";
      const place = "/" + ((path || "").split("/").find(Boolean) || "");
      const more = document.querySelector(".nv-rail-more");
      if (more) {
        const folded = Array.from(document.querySelectorAll(".nv-rail-rest a"), (link) => link.pathname);
        more.classList.toggle("nv-active", folded.includes(place));
      }
      return [
        ids.map(function (id) {
          return id.path + query;
        }),
        ids.map(function (id) {
          return "nv-rail-item" + (id.path === place ? " nv-active" : "");
        }),
      ];
    },

    /* The page that came -> the frame's class: what there is nothing to do with, the bar leaves out. */
    suit: function (content) {
      const classes = ((content && content.props && content.props.className) || "").split(" ");
      const unfiltered = classes.includes("nv-unfiltered") ? " nv-main-unfiltered" : "";
      return "nv-main" + unfiltered + (classes.includes("nv-ranged") ? " nv-main-ranged" : "");
    },

    /* The tiles of a range that runs until now are as old as the newest arrival. */
    tileAges: function (age, tiles) {
      const words = (age && age.props && age.props["data-nv-age"]) || "";
      return tiles.map(() => words);
    },

    countAlerts: function (open) {
      return open ? (open < 100 ? String(open) : "99+") : "";
    },
  };
})();
