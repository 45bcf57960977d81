// Parts that several pages have: the state of a relay, the head of a page, numbers with a name.

import { h } from "./dom.js";
import { STATES, number, relayHref, words } from "./format.js";

/** The state in one word, with a sign besides its colour. */
export function pill(state) {
    const { label, tone } = STATES[state] ?? { label: words(state), tone: "info" };
    const sign = { good: "✓", info: "↻", warn: "!", bad: "✕", hold: "‖" }[tone];
    return h("span", { class: `pill tone-${tone}`, "data-state": state }, h("span", { "aria-hidden": "true" }, sign), label);
}

/** A number with its name; a link if there is more to see. */
export function figure(name, value, { tone = null, href = null } = {}) {
    const content = [h("span", { class: "figure-value" }, value), h("span", { class: "figure-name" }, name)];
    const kind = `figure${tone ? ` has-${tone}` : ""}`;
    return href ? h("a", { class: kind, href }, content) : h("div", { class: kind }, content);
}

/** The first lines of a page. `trail` is where it stands: names and addresses. */
export function head(title, { trail = [], beside = null, sentence = null, buttons = [] } = {}) {
    return h(
        "div",
        { class: "page-head" },
        trail.length
            ? h(
                  "nav",
                  { "aria-label": "Where you are", class: "trail" },
                  h(
                      "ol",
                      null,
                      trail.map(([name, href]) => h("li", null, h("a", { href }, name))),
                  ),
              )
            : null,
        h(
            "div",
            { class: "title" },
            h("h1", { tabindex: "-1" }, title),
            beside,
            buttons.length ? h("div", { class: "buttons" }, buttons) : null,
        ),
        sentence ? h("p", { class: "sentence" }, sentence) : null,
    );
}

export function button(text, act, { danger = false, disabled = false } = {}) {
    return h("button", { type: "button", class: danger ? "danger" : null, disabled, on: { click: act } }, text);
}

/** The pages of one relay. */
export function tabs(relay, here) {
    const base = relayHref(relay.relay);
    const links = [
        ["Overview", base, null],
        ["Rows in trouble", `${base}/rows`, null],
        ["Dead letters", `${base}/rows?state=dead`, relay.dead],
    ];
    return h(
        "nav",
        { class: "tabs", "aria-label": `Pages of ${relay.relay}` },
        h(
            "ul",
            null,
            links.map(([name, href, count]) =>
                h(
                    "li",
                    null,
                    h(
                        "a",
                        { href, "aria-current": name === here ? "page" : null },
                        name,
                        count ? h("span", { class: "badge" }, number(count)) : null,
                    ),
                ),
            ),
        ),
    );
}

/** What a failure looks like inside a page: the rest of the page goes on. */
export function failed(problem) {
    return h("p", { class: "hint" }, problem.message);
}
