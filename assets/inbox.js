/* The list of alerts by keyboard: j and k move, a, r and s press a row's own buttons. Whoever is in the list stays there when it is
   drawn anew; whoever is elsewhere is left alone. */
(function () {
  "use strict";

  const KEYS = { a: "acknowledge", r: "resolve", s: "snooze" };
  /* The row that has the focus: what it is and which place it has. Null where the focus is elsewhere. */
  let held = null;

  function rows() {
    return Array.from(document.querySelectorAll("[data-nv-inbox] .nv-alert-row"));
  }

  function itemOf(element) {
    return element && element.closest ? element.closest("[data-nv-inbox] .nv-inbox-item") : null;
  }

  function hold(element) {
    const item = itemOf(element);
    held = item && { id: item.id, place: rows().indexOf(item.querySelector(".nv-alert-row")) };
  }

  function typing(element) {
    return /^(INPUT|TEXTAREA|SELECT)$/.test(element.tagName) || element.isContentEditable || element.closest("dialog[open]");
  }

  function move(step) {
    const all = rows();
    const item = itemOf(document.activeElement);
    const at = item ? all.indexOf(item.querySelector(".nv-alert-row")) : step > 0 ? -1 : all.length;
    const next = all[Math.min(Math.max(at + step, 0), all.length - 1)];
    if (next) {
      next.focus();
      next.scrollIntoView({ block: "nearest" });
    }
  }

  function press(name) {
    const item = itemOf(document.activeElement);
    const button = item && item.querySelector('[data-nv-does="' + name + '"]');
    if (button && !button.disabled) {
      button.click();
    }
  }

  document.addEventListener("keydown", function (event) {
    const taken = event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey;
    if (taken || typing(event.target) || !document.querySelector("[data-nv-inbox]")) {
      return;
    }
    if (event.key === "j" || event.key === "k") {
      move(event.key === "j" ? 1 : -1);
    } else if (KEYS[event.key]) {
      press(KEYS[event.key]);
    } else {
      return;
    }
    event.preventDefault();
  });

  document.addEventListener("click", function (event) {
    const dialog = document.getElementById("inbox-snooze");
    if (dialog && event.target.closest('[data-nv-does="snooze"]')) {
      dialog.showModal();
      dialog.querySelector("input").focus();
    }
  });

  document.addEventListener("focusin", function (event) {
    if (!event.target.closest("dialog")) {
      hold(event.target);
    }
  });

  document.addEventListener("pointerdown", function (event) {
    if (!itemOf(event.target) && !event.target.closest("dialog")) {
      held = null;
    }
  });

  /* The row with the focus was drawn anew, or is gone: then the one in its place has it. */
  new MutationObserver(function () {
    if (!held || document.activeElement !== document.body) {
      return;
    }
    const item = document.getElementById(held.id);
    const all = rows();
    const next = item ? item.querySelector(".nv-alert-row") : all[Math.min(held.place, all.length - 1)];
    if (next) {
      next.focus({ preventScroll: true });
    }
  }).observe(document.documentElement, { childList: true, subtree: true });
})();
