/* What the server answers, or does not: nothing that was pressed, chosen or typed is lost without a word. */
(function () {
  "use strict";

  const LOOK_MS = 1000;
  const AWAY = [502, 503, 504]; // says the proxy, or the program without its database

  let unsaved = ""; // the path of the page where something has been typed that nobody has taken yet

  /* ------------------------------------------------------------ A server that does not answer */

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

  /* No need to wait for an answer that will not come. */
  function nobodyThere() {
    answered = 0;
    tellSilence();
    keepAsking();
  }

  /* The clock rests while the page asks for news, and Dash forgets to start it again where the answer is a failure: without this, a
     page would stay silent when its server is back. */
  function keepAsking() {
    window.setTimeout(function () {
      window.dash_clientside.set_props("shell-interval", { disabled: false });
    }, LOOK_MS);
  }

  /* ------------------------------------------------------------ What was asked */

  const PRESSED = /\.(n_clicks|n_submit|submit_n_clicks)$/;
  const TICKS = /\.n_intervals$/;

  function nameOf(input) {
    const id = typeof input.id === "string" ? input.id : JSON.stringify(input.id, Object.keys(input.id).sort());
    return id + "." + input.property;
  }

  /* A request to Dash: what has changed, and of that the inputs as they were sent. Null of anything else. */
  function questionOf(address, body) {
    if (!address.includes("/_dash-update-component") || typeof body !== "string") {
      return null;
    }
    const sent = JSON.parse(body);
    const changed = sent.changedPropIds || [];
    const inputs = (sent.inputs || []).flat().filter((input) => input && changed.includes(nameOf(input)));
    return { first: !changed.length, inputs: inputs };
  }

  function isPressed(input) {
    return PRESSED.test("." + input.property) && Boolean(input.value);
  }

  /* While what a button asks for is done, pressing it again asks for nothing; it keeps the focus, as a disabled one would not. */
  function hold(question) {
    const buttons = question.inputs
      .filter(isPressed)
      .map((input) => document.getElementById(nameOf(input).replace(PRESSED, "")))
      .filter((element) => element && element.matches("button:not([data-nv-action])"));
    buttons.forEach((button) => button.setAttribute("aria-busy", "true"));
    return () => buttons.forEach((button) => button.removeAttribute("aria-busy"));
  }

  document.addEventListener(
    "click",
    function (event) {
      if (event.target.closest && event.target.closest("button[aria-busy=true]")) {
        event.preventDefault();
        event.stopPropagation();
      }
    },
    true
  );

  /* What was asked while nobody was there, by what had changed: it is asked again, but for what was pressed, which may be forgotten by
     then, and of which the reader is told. */
  const lost = new Map();

  function lose(question) {
    if (question.first) {
      lost.set("", null); // the page itself, as it was first drawn
    }
    question.inputs
      .filter((input) => !PRESSED.test("." + input.property) && !TICKS.test("." + input.property))
      .forEach((input) => lost.set(nameOf(input), input));
  }

  function backAgain() {
    if (!lost.size) {
      return;
    }
    const again = Array.from(lost.values()).filter(Boolean);
    const anew = lost.has("");
    lost.clear();
    if (anew && unsaved !== window.location.pathname) {
      window.location.reload();
      return;
    }
    again.concat({ id: "shell-stamp", property: "data", value: "" }).forEach(function (input) {
      window.dash_clientside.set_props(input.id, { [input.property]: input.value });
    });
  }

  /* ------------------------------------------------------------ What the reader is told */

  /* One of the messages that wait in the page, with `words` where it has none of its own. */
  function show(id, words) {
    const message = document.getElementById(id);
    if (!message) {
      return;
    }
    if (words) {
      message.querySelector("[data-nv-said]").textContent = words;
    }
    message.style.display = "";
    message.hidden = false;
  }

  function hide(id) {
    const message = document.getElementById(id);
    if (message) {
      message.hidden = true;
    }
  }

  function inTime(promise) {
    return Promise.race([promise, new Promise((resolve) => window.setTimeout(resolve, LOOK_MS, {}))]);
  }

  /* A refusal in the program's own words, or that there was no answer: a proxy says nothing that a reader could use. */
  async function tellRefusal(answer) {
    const own = (answer.headers.get("Content-Type") || "").includes("problem+json");
    const problem = own ? await inTime(answer.clone().json()).catch(() => ({})) : {};
    if (problem.detail) {
      show("shell-refused", problem.detail);
    } else {
      show("shell-unanswered");
    }
  }

  /* Whoever asks too much is told when to ask again: what was not pressed comes by itself then. */
  function askLater(question, answer) {
    window.setTimeout(function () {
      lose(question);
      backAgain();
    }, 1000 * (Number(answer.headers.get("Retry-After")) || 5));
  }

  function refused(question, answer) {
    const pressed = question.inputs.some(isPressed);
    if (AWAY.includes(answer.status)) {
      lose(question);
    } else if (answer.status === 429) {
      askLater(question, answer);
      keepAsking();
    }
    if (pressed || !AWAY.includes(answer.status)) {
      tellRefusal(answer);
    }
  }

  function done(question) {
    if (question.inputs.some(isPressed)) {
      ["shell-refused", "shell-unanswered"].forEach(hide);
      unsaved = "";
    }
  }

  /* ------------------------------------------------------------ A session that has ended */

  let leaving = false;

  document.addEventListener("input", function (event) {
    if (event.target.closest("main") && !event.target.closest("[data-nv-search], .dash-dropdown-content")) {
      unsaved = window.location.pathname;
    }
  });

  /* Dash would only log the refusal; the reader is taken to the sign-in page, and from there back to the same view. Not from what
     would be lost with the page: signing in goes beside it then. */
  function signedOut() {
    if (unsaved === window.location.pathname) {
      show("shell-ended");
      keepAsking();
      return false;
    }
    if (!leaving) {
      leaving = true;
      const here = window.location.pathname + window.location.search;
      window.location.assign("/login?next=" + encodeURIComponent(here));
    }
    return true;
  }

  /* ------------------------------------------------------------ Every answer */

  const ask = window.fetch;

  async function answerTo(question, request) {
    const release = question ? hold(question) : () => {};
    try {
      return await request();
    } catch (error) {
      if (question && error.name !== "AbortError") {
        lose(question);
        nobodyThere();
        if (question.inputs.some(isPressed)) {
          show("shell-unanswered");
        }
      }
      throw error;
    } finally {
      release();
    }
  }

  window.fetch = async function (resource, options) {
    const address = typeof resource === "string" ? resource : resource.url;
    const question = questionOf(address, options && options.body);
    const answer = await answerTo(question, () => ask.call(this, resource, options));
    if (AWAY.includes(answer.status)) {
      nobodyThere();
    } else {
      answered = Date.now();
      backAgain();
    }
    if (answer.status === 401 && address.includes("/_dash-")) {
      if (signedOut()) {
        return new Promise(function () {}); // the page is left; Dash need not stumble over the refusal first
      }
      throw new TypeError("signed out"); // Dash reads a 401 twice, and would throw by itself
    }
    if (question && answer.status >= 400) {
      refused(question, answer);
    } else if (question) {
      hide("shell-ended");
      done(question);
    }
    return answer;
  };
})();
