// Health: each check with its remedy, and a test of the channels through which people are told.

import { get } from "./api.js";
import { card, h, table } from "./dom.js";
import { words } from "./format.js";
import { order } from "./orders.js";
import { button, head } from "./parts.js";

export const health = {
    title: () => "Health",
    load: (_, signal) => get(["health"], { signal, query: { deep: "true" }, accept: [503] }),
    draw(data, context) {
        const checks = data.checks ?? [];
        // A target that is down is not the app's fault.
        const tone = (check) => (check.healthy ? "good" : check.counts === false ? "warn" : "bad");
        const sick = checks.filter((check) => !check.healthy);
        const sentence = sick.length
            ? `${sick.length} of ${checks.length} checks ${sick.length === 1 ? "fails" : "fail"}.`
            : `All ${checks.length} checks pass.`;
        return [
            head("Health", {
                sentence,
                beside: h(
                    "span",
                    { class: `pill tone-${data.healthy ? "good" : "bad"}` },
                    data.healthy ? "healthy" : "not healthy",
                ),
                buttons: [button("Test the channels", () => testChannels(context))],
            }),
            context.results ? results(context.results) : null,
            h(
                "div",
                { class: "card flush" },
                h(
                    "ul",
                    { class: "checks", "aria-label": "Checks" },
                    [...sick, ...checks.filter((check) => check.healthy)].map((check) =>
                        h(
                            "li",
                            { key: `${check.name}-${check.relay ?? ""}` },
                            h(
                                "span",
                                {
                                    class: `sign tone-${tone(check)}`,
                                    role: "img",
                                    "aria-label": check.healthy ? "passes" : "fails",
                                },
                                check.healthy ? "✓" : "✕",
                            ),
                            h(
                                "div",
                                null,
                                h(
                                    "p",
                                    { class: "check-name" },
                                    words(check.name),
                                    check.relay ? h("span", { class: "hint" }, ` ${check.relay}`) : null,
                                ),
                                h("p", { class: check.healthy ? "hint" : "error" }, check.detail),
                                check.remedy ? h("p", null, h("strong", null, "Do this: "), check.remedy) : null,
                            ),
                        ),
                    ),
                ),
            ),
        ];
    },
};

function testChannels(context) {
    order({
        title: "Test the channels",
        path: ["notices", "test"],
        counts: false,
        bare: true,
        button: "Send the tests",
        explain: "Each recipient gets one notice that says that it is a test.",
        about: "It goes to every configured recipient.",
        done: (answer) => {
            context.results = answer.results;
            const sent = answer.results.filter((result) => result.sent).length;
            return `${sent} of ${answer.results.length} tests were sent.`;
        },
    }).then(context.told);
}

function results(list) {
    return card(
        "What came back",
        { id: "channels" },
        table(
            "Tests of the channels",
            ["Channel", "Recipient", "Result", "Took"],
            list.map((result) => [
                result.channel,
                result.recipient,
                result.sent ? "sent" : result.error,
                `${result.milliseconds} ms`,
            ]),
            { numeric: [3] },
        ),
    );
}
