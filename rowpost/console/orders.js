// Orders: each is asked about first, with the number of rows that a dry run counts, and only then given.

import { OPERATE, ask, rememberKey } from "./api.js";
import { h, patch } from "./dom.js";
import { number, rows } from "./format.js";
import { hush } from "./toast.js";

/**
 * Opens the dialog of an order.
 * @param {{title: string, explain: string, path: string[], method?: string, body?: object, bare?: boolean, reasonless?: boolean,
 *   counts?: boolean,
 *   about?: string, nearly?: boolean, evenNone?: string, button: string, danger?: boolean, reasonName?: string,
 *   reasonLabel?: string, done: (answer: object) => string}} order
 *   `bare`: it has no body; `reasonless`: no reason is asked for; `counts`: whether the API has a dry run of it; `about`: what is said
 *   instead of its number; `nearly`: the number is about so many; `evenNone`: what is said of no row, if the order makes sense all
 *   the same; `done`: the sentence that says what was done
 * @returns {Promise<string | null>} the sentence, or null if nothing was ordered
 */
export function order(given) {
    hush();
    const dialog = h("dialog", { class: "ask", "aria-labelledby": "ask-title" });
    document.body.append(dialog);
    return new Promise((resolve) => {
        let result = null;
        dialog.addEventListener("close", () => {
            dialog.remove();
            resolve(result);
        });
        const state = { counted: given.counts === false, count: null, problem: null, busy: false, needsKey: false };
        const body = () => {
            const reason = dialog.querySelector("#ask-reason")?.value.trim();
            return { ...given.body, ...(reason ? { [given.reasonName ?? "reason"]: reason } : {}) };
        };
        const send = (extra) =>
            ask(given.method ?? "POST", given.path, { level: OPERATE, body: given.bare ? undefined : { ...body(), ...extra } });
        const draw = () => patch(dialog, content(given, state, { count, give, key, close: () => dialog.close() }));

        async function attempt(work) {
            state.busy = true;
            state.problem = null;
            draw();
            try {
                await work();
            } catch (error) {
                state.problem = error.message;
                state.needsKey = error.refused ?? false;
                if (state.needsKey)
                    state.problem = error.status === 403 ? error.message : "The key of this tab may not give orders.";
            }
            state.busy = false;
            draw();
        }

        async function count() {
            if (given.counts === false) return;
            await attempt(async () => {
                state.count = (await send({ dry_run: true })).rows;
                state.counted = true;
            });
        }

        async function give() {
            await attempt(async () => {
                const answer = await send({});
                result = [given.done(answer), ...(answer?.later ?? [])].join(" ");
                dialog.close();
            });
        }

        async function key(text) {
            rememberKey(OPERATE, text);
            state.needsKey = false;
            state.problem = null;
            if (given.counts === false) draw();
            else await count();
        }

        draw();
        dialog.showModal();
        count();
    });
}

function content(given, state, { count, give, key, close }) {
    const ready = state.counted && (state.count !== 0 || given.evenNone);
    return [
        h("h2", { id: "ask-title" }, given.title),
        h("p", null, given.explain),
        h("p", { class: "ask-count", role: "status" }, countText(given, state)),
        state.problem ? h("p", { class: "ask-problem", role: "alert" }, state.problem) : null,
        state.needsKey ? keyForm(key) : null,
        given.bare || given.reasonless
            ? null
            : h(
                  "label",
                  { class: "field" },
                  given.reasonLabel ?? "Reason (for the audit, may be empty)",
                  h("input", { id: "ask-reason", type: "text", maxlength: "200", autocomplete: "off" }),
              ),
        h(
            "div",
            { class: "ask-buttons" },
            h("button", { type: "button", on: { click: close } }, "Cancel"),
            state.problem && !state.needsKey && !state.counted
                ? h("button", { type: "button", on: { click: count } }, "Count again")
                : null,
            h(
                "button",
                {
                    type: "button",
                    id: "ask-go",
                    class: given.danger ? "danger" : "primary",
                    disabled: !ready || state.busy,
                    on: { click: give },
                },
                given.button,
            ),
        ),
    ].filter(Boolean);
}

function countText(given, state) {
    if (given.counts === false) return given.about ?? "";
    if (!state.counted) return state.busy ? "Counting…" : "Not counted.";
    if (state.count === null) return "How many rows it touches is not known.";
    if (state.count === 0) return given.evenNone ?? "This touches no row. There is nothing to do.";
    return [`${given.nearly ? "This touches about " : "This touches "}`, h("strong", null, rows(state.count)), "."];
}

function keyForm(key) {
    return h(
        "form",
        {
            class: "ask-key",
            on: {
                submit: (event) => {
                    event.preventDefault();
                    const text = event.currentTarget.querySelector("input").value.trim();
                    if (text) key(text);
                },
            },
        },
        h(
            "label",
            { class: "field" },
            "Key that may give orders",
            h("input", { type: "password", autocomplete: "off", required: true }),
        ),
        h("button", { type: "submit" }, "Use this key"),
    );
}

/** The orders of rows: the same three words everywhere. `select` is what the body says of the rows: keys, filter or all. */
export function rowOrder(action, relay, select, which, more = {}) {
    const texts = {
        retry: {
            title: `Retry ${which} now`,
            button: "Retry",
            explain: "The rows are due at once, and the target is called again.",
            done: (answer) => `${rows(answer.rows)} ${answer.rows === 1 ? "is" : "are"} due now.`,
        },
        replay: {
            title: `Replay ${which}`,
            button: "Replay",
            explain: "The dead letters wait again, with a new window. Do this when the cause is mended.",
            done: (answer) => `${rows(answer.rows)} ${answer.rows === 1 ? "waits" : "wait"} again.`,
        },
        discard: {
            title: `Discard ${which}`,
            button: "Discard",
            danger: true,
            explain:
                "The present change of each row is given up for good: the target never gets it. " +
                "A later change of the row is sent as usual.",
            done: (answer) => `${number(answer.rows)} ${answer.rows === 1 ? "change was" : "changes were"} given up.`,
        },
    };
    return order({ ...texts[action], ...more, path: ["relays", relay, action], body: select });
}
