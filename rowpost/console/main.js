// The frame of the console: which page is shown, the key, and what is told about the state of the data.

import { Problem, READ, forgetKeys, hasKey, rememberKey } from "./api.js";
import { audit } from "./audit.js";
import { h, patch } from "./dom.js";
import { clock, now } from "./format.js";
import { health } from "./health.js";
import { incidents } from "./incidents.js";
import { Live } from "./live.js";
import { overview } from "./overview.js";
import { relay } from "./relay.js";
import { row } from "./row.js";
import { rowsPage } from "./rows.js";
import { announce, toast } from "./toast.js";

const ROUTES = [
    [/^\/$/, overview, []],
    [/^\/relays\/([^/]+)$/, relay, ["relay"]],
    [/^\/relays\/([^/]+)\/rows$/, rowsPage, ["relay"]],
    [/^\/relays\/([^/]+)\/rows\/([^/]+)$/, row, ["relay", "key"]],
    [/^\/incidents$/, incidents, []],
    [/^\/audit$/, audit, []],
    [/^\/health$/, health, []],
];
const PAGES = [
    ["Relays", "#/"],
    ["Incidents", "#/incidents"],
    ["Audit", "#/audit"],
    ["Health", "#/health"],
];
const part = (id) => document.getElementById(id);
let live = null;
let shown = null; // the page, its context and its last data

/** Which page an address means, and with what. */
function routeOf(hash) {
    const [path, search = ""] = (hash.replace(/^#/, "") || "/").split("?");
    for (const [pattern, page, names] of ROUTES) {
        const found = pattern.exec(path);
        if (!found) continue;
        try {
            const params = Object.fromEntries(names.map((name, index) => [name, decodeURIComponent(found[index + 1])]));
            return { page, params: { ...params, query: Object.fromEntries(new URLSearchParams(search)) } };
        } catch {
            return null; // a broken percent sign
        }
    }
    return null;
}

function open({ moveFocus = true } = {}) {
    live?.stop();
    const found = routeOf(location.hash);
    const same = found && shown?.page === found.page && JSON.stringify(shown.context.params) === JSON.stringify(found.params);
    if (!same) {
        const near = found && shown?.page === found.page && shown.context.params.relay === found.params.relay;
        shown = found && {
            page: found.page,
            data: null,
            context: contextOf(found.params, near ? shown.context : null),
            moveFocus: moveFocus && !near,
        };
        if (!near) patch(part("view"), [h("p", { class: "hint loading" }, found ? "Asking the app…" : "There is no such page.")]);
    }
    pages();
    patch(part("trouble"), []);
    if (!found) return;
    document.title = `${found.page.title(found.params)} – Rowpost`;
    live = new Live((signal) => found.page.load(found.params, signal), show, fail);
    live.refresh();
}

function contextOf(params, former) {
    return {
        params,
        marked: former?.marked ?? new Set(),
        get width() {
            return Math.max(240, part("view").clientWidth - 42);
        }, // less the padding of a card
        go: (hash) => {
            location.hash = hash;
        },
        redraw: () => draw(),
        told(said) {
            if (!said) return;
            toast(said);
            live.refresh();
        },
    };
}

function pages() {
    const here = location.hash.replace(/\?.*/, "") || "#/";
    const at = (href) => (href === "#/" ? here === "#/" || here.startsWith("#/relays") : here.startsWith(href));
    patch(
        part("pages"),
        PAGES.map(([name, href]) => h("li", null, h("a", { href, "aria-current": at(href) ? "page" : null }, name))),
    );
}

function draw() {
    if (!shown?.data) return;
    patch(part("view"), shown.page.draw(shown.data, shown.context).flat(Infinity).filter(Boolean));
}

function show(data) {
    const news = shown.page.news?.(shown.data, data);
    shown.data = data;
    draw();
    patch(part("trouble"), []);
    part("live").textContent = `Live: ${clock(now() ?? Date.now())} UTC`;
    part("live").dataset.state = "live";
    part("forget").hidden = !hasKey();
    if (news) announce(news);
    if (shown.moveFocus) part("view").querySelector("h1")?.focus({ preventScroll: true });
    shown.moveFocus = false;
}

function fail(error, seconds) {
    const problem = error instanceof Problem ? error : new Problem(0, `The page has a fault: ${error.message}`);
    if (!(error instanceof Problem)) console.error(error);
    part("live").dataset.state = "old";
    if (problem.refused) {
        live.stop();
        part("live").textContent = "";
        askForKey(problem);
        return;
    }
    part("live").textContent = "Not live";
    const since = shown.data ? " What you see is older." : "";
    patch(part("trouble"), [
        h(
            "div",
            { class: "note tone-bad", role: "alert" },
            h("strong", null, problem.message),
            `${since} The next try is in ${seconds} s. `,
            h("button", { type: "button", on: { click: () => live.refresh() } }, "Try now"),
        ),
    ]);
    if (!shown.data) patch(part("view"), []);
}

function askForKey(problem) {
    const wrong = hasKey();
    const enter = (event) => {
        event.preventDefault();
        rememberKey(READ, event.currentTarget.querySelector("input").value.trim());
        open();
    };
    shown.data = null;
    const entra = `/.auth/login/aad?post_login_redirect_uri=${encodeURIComponent(location.pathname)}`;
    patch(part("view"), [
        h(
            "form",
            { class: "card login", on: { submit: enter } },
            h("h1", null, "Rowpost"),
            h(
                "p",
                null,
                problem.status === 403 ? problem.message : wrong ? "The app does not take this key." : "The app asks who you are.",
            ),
            h(
                "label",
                { class: "field" },
                "Function key",
                h("input", { type: "password", id: "key", autocomplete: "off", required: true }),
            ),
            h("button", { type: "submit", class: "primary" }, "Open the console"),
            h(
                "p",
                { class: "hint" },
                "The key stays in this tab and is forgotten with it. If your app knows people by Entra, ",
                h("a", { href: entra }, "sign in there"),
                ".",
            ),
        ),
    ]);
    part("key")?.focus();
}

part("forget").addEventListener("click", () => {
    forgetKeys();
    location.reload();
});
document.querySelector(".skip").addEventListener("click", (event) => {
    event.preventDefault(); // the address is that of a page
    part("main").focus();
});
let width = 0;
new ResizeObserver(() => {
    if (Math.abs(part("view").clientWidth - width) < 2) return;
    width = part("view").clientWidth;
    draw();
}).observe(part("view"));
addEventListener("hashchange", () => open());
open({ moveFocus: false });
