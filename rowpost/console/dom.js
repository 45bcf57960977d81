// Elements from data. Text goes in as text only, so no value of a row and no error can become markup.

const SVG = "http://www.w3.org/2000/svg";
const KEY = Symbol("key");
const HANDLERS = Symbol("handlers");
const KEPT = new Set(["open", "value", "checked"]); // what the person has changed since stays as it is

function dispatch(event) {
    event.currentTarget[HANDLERS][event.type]?.(event);
}

function make(node, props, children) {
    const { key, on, ...attributes } = props ?? {};
    node[KEY] = key;
    node[HANDLERS] = on ?? {};
    for (const type of Object.keys(node[HANDLERS])) node.addEventListener(type, dispatch);
    for (const [name, value] of Object.entries(attributes)) {
        if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value === true ? "" : String(value));
    }
    node.append(
        ...children
            .flat(Infinity)
            .filter((child) => child !== null && child !== undefined && child !== false)
            .map((child) => (child instanceof Node ? child : String(child))),
    );
    return node;
}

/** An HTML element. `props` are attributes; `on` holds handlers by event; `key` tells siblings apart when the page is renewed. */
export function h(tag, props, ...children) {
    return make(document.createElement(tag), props, children);
}

/** An SVG element, with the same arguments. */
export function s(tag, props, ...children) {
    return make(document.createElementNS(SVG, tag), props, children);
}

/** Makes the children of `parent` equal to `wanted`. What is alike stays: with its focus, its scroll position, what was typed. */
export function patch(parent, wanted) {
    const keyed = new Map();
    for (const node of parent.childNodes) if (node[KEY] !== undefined) keyed.set(node[KEY], node);
    let at = parent.firstChild;
    for (const next of wanted) {
        const have = next[KEY] === undefined ? at : keyed.get(next[KEY]);
        if (!have || have.nodeName !== next.nodeName || have[KEY] !== next[KEY]) {
            parent.insertBefore(next, at);
            continue;
        }
        if (have === at) at = at.nextSibling;
        else parent.insertBefore(have, at);
        renew(have, next);
    }
    while (at) {
        const next = at.nextSibling;
        at.remove();
        at = next;
    }
}

function renew(have, next) {
    if (have.nodeType === Node.TEXT_NODE) {
        if (have.nodeValue !== next.nodeValue) have.nodeValue = next.nodeValue;
        return;
    }
    for (const { name } of [...have.attributes]) if (!next.hasAttribute(name) && !KEPT.has(name)) have.removeAttribute(name);
    for (const { name, value } of next.attributes) {
        if (!KEPT.has(name) && have.getAttribute(name) !== value) have.setAttribute(name, value);
    }
    const known = have[HANDLERS] ?? {};
    have[HANDLERS] = next[HANDLERS];
    for (const type of Object.keys(next[HANDLERS] ?? {})) if (!(type in known)) have.addEventListener(type, dispatch);
    patch(have, [...next.childNodes]);
}

/** A table with a caption for those who cannot see where it stands. `rows` are lists of cells; a cell is text or a node. */
export function table(caption, heads, rows, { key = null, numeric = [] } = {}) {
    const cell = (tag, content, index) =>
        h(tag, { class: numeric.includes(index) ? "number" : null, scope: tag === "th" ? "col" : null }, content);
    return h(
        "div",
        { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
        h(
            "table",
            null,
            h("caption", { class: "unseen" }, caption),
            h(
                "thead",
                null,
                h(
                    "tr",
                    null,
                    heads.map((head, index) => cell("th", head, index)),
                ),
            ),
            h(
                "tbody",
                null,
                rows.map((cells, row) =>
                    h(
                        "tr",
                        { key: key?.(row) },
                        cells.map((content, index) => cell("td", content, index)),
                    ),
                ),
            ),
        ),
    );
}

/** A section with a heading. */
export function card(title, props, ...children) {
    const { beside = null, ...rest } = props ?? {};
    return h("section", { class: "card", ...rest }, h("div", { class: "card-head" }, h("h2", null, title), beside), ...children);
}

/** Names and values. Pairs without a value are left out. */
export function facts(pairs, props) {
    return h(
        "dl",
        { class: "facts", ...props },
        pairs
            .filter(([, value]) => value !== null && value !== undefined && value !== "")
            .map(([name, value]) => h("div", null, h("dt", null, name), h("dd", null, value))),
    );
}
