/* The frame's own behaviour: menus that close, tabs that rest while hidden, focus that is not lost. */
(function () {
  "use strict";

  /* ------------------------------------------------------------ Hidden tabs ask nothing */

  function rest() {
    if (document.getElementById("shell-frame-ready")) {
      window.dash_clientside.set_props("shell-interval", { max_intervals: document.hidden ? 0 : -1 });
    }
  }

  document.addEventListener("visibilitychange", rest);

  /* ------------------------------------------------------------ Files */

  /* A file has the order of the grid that its link stands above, once a reader has given it one. */
  function order(event) {
    const link = event.target.closest ? event.target.closest(".nv-card a[href*='/export/']") : null;
    if (!link) {
      return;
    }
    const heads = link.closest(".nv-card").querySelectorAll(".ag-header-cell:is([aria-sort='ascending'], [aria-sort='descending'])");
    const sorted = Array.from(heads).find((head) => head.offsetParent);
    const url = new URL(link.href);
    url.searchParams.delete("sort");
    if (sorted) {
      const falling = sorted.getAttribute("aria-sort") === "descending" ? "-" : "";
      url.searchParams.set("sort", falling + sorted.getAttribute("col-id"));
    }
    link.setAttribute("href", url.pathname + url.search);
  }

  ["click", "auxclick", "contextmenu"].forEach((kind) => document.addEventListener(kind, order, true));

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

  /* ------------------------------------------------------------ What was saved */

  const SAVED = "nebuloviz-saved"; // in the session's storage, while the page is loaded anew

  const ready = window.setInterval(function () {
    const message = document.getElementById("shell-saved-words");
    if (!message) {
      return;
    }
    window.clearInterval(ready);
    if (window.sessionStorage.getItem(SAVED)) {
      window.sessionStorage.removeItem(SAVED);
      message.hidden = false;
    }
  }, 100);

  /* ------------------------------------------------------------ Focus */

  const REDRAWN_MS = 100;
  let around = []; // what has the focus, and the ids of what it is in

  document.addEventListener("focusin", function (event) {
    around = [event.target];
    for (let element = event.target; element; element = element.parentElement) {
      if (element.id) {
        around.push(element.id);
      }
    }
  });

  /* What had the focus was drawn anew, or is gone with what it did: the focus goes to what took its place, or to what was around it. */
  function keepFocus() {
    if (document.activeElement !== document.body || !around.length || around[0].isConnected) {
      return;
    }
    const place = around.slice(1).map((id) => document.getElementById(id)).find((element) => element && element.offsetParent);
    if (!place) {
      return;
    }
    if (place.tabIndex < 0) {
      place.tabIndex = -1;
    }
    place.focus({ preventScroll: true });
  }

  let redrawn = 0;

  new MutationObserver(function () {
    window.clearTimeout(redrawn);
    redrawn = window.setTimeout(keepFocus, REDRAWN_MS);
  }).observe(document.documentElement, { childList: true, subtree: true });

  /* ------------------------------------------------------------ For Dash */

  window.dash_clientside = window.dash_clientside || {};
  window.dash_clientside.shell = {
    /* Preferences that change every word on the page, which says afterwards that they were saved. */
    reload: function (saved) {
      if (saved) {
        window.sessionStorage.setItem(SAVED, "yes");
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
