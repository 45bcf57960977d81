// Requests to the app's HTTP API, and the keys for them. Keys are kept for this tab only.

import { learnClock } from "./format.js";

const BASE = new URL("../", import.meta.url);
const TIMEOUT_MILLISECONDS = 20_000;
const SAFE_DIGITS = 15; // a double keeps so many, whatever the number
export const READ = "read";
export const OPERATE = "operate";
export const ADMINISTER = "administer";
const LEVELS = [READ, OPERATE, ADMINISTER];

/** An answer that is none of what was asked for. `status` is 0 if the app did not answer at all. */
export class Problem extends Error {
    constructor(status, detail, field = null) {
        super(detail);
        this.status = status;
        this.field = field;
    }

    /** Whether a key is missing, wrong, or not enough. */
    get refused() {
        return this.status === 401 || this.status === 403;
    }
}

const storageName = (level) => `rowpost-key-${level}`;

/** The key for a level: its own, else the next lower one. */
function keyFor(level) {
    for (let at = LEVELS.indexOf(level); at >= 0; at -= 1) {
        const key = sessionStorage.getItem(storageName(LEVELS[at]));
        if (key) return key;
    }
    return null;
}

export function rememberKey(level, key) {
    sessionStorage.setItem(storageName(level), key);
}

export function forgetKeys() {
    for (const level of LEVELS) sessionStorage.removeItem(storageName(level));
}

export function hasKey() {
    return LEVELS.some((level) => sessionStorage.getItem(storageName(level)));
}

/** JSON whose numbers stay exact: one with more digits than JavaScript keeps stays as it is written; with `all`, so does 10.50. */
export function exactJson(text, all = false) {
    const differs = (value, source) => (all ? String(value) !== source : digits(source) > SAFE_DIGITS);
    return JSON.parse(text, (_, value, context) =>
        typeof value === "number" && context && JSON.rawJSON && differs(value, context.source)
            ? JSON.rawJSON(context.source)
            : value,
    );
}

function digits(source) {
    return source
        .replace(/[eE].*/, "")
        .replace(/\D/g, "")
        .replace(/^0+/, "").length;
}

/**
 * Asks the app.
 * @param {string} method
 * @param {string[]} path segments below the API's prefix; each is encoded
 * @param {{query?: object, body?: object, level?: string, signal?: AbortSignal, accept?: number[], exact?: boolean}} options
 *   `accept`: further statuses whose body is an answer; `exact`: numbers stay as they are written
 * @returns {Promise<any>} the JSON of the answer
 * @throws {Problem}
 */
export async function ask(method, path, { query = {}, body, level = READ, signal, accept = [], exact = false } = {}) {
    const url = new URL(path.map(encodeURIComponent).join("/"), BASE);
    for (const [name, value] of Object.entries(query))
        if (value !== null && value !== undefined && value !== "") url.searchParams.set(name, value);
    const headers = { accept: "application/json" };
    const key = keyFor(level);
    if (key) headers["x-functions-key"] = key;
    if (body !== undefined) headers["content-type"] = "application/json";
    const limit = AbortSignal.timeout(TIMEOUT_MILLISECONDS);
    const options = {
        method,
        headers,
        cache: "no-store",
        redirect: "error",
        signal: signal ? AbortSignal.any([signal, limit]) : limit,
    };
    if (body !== undefined) options.body = JSON.stringify(body);
    let answer;
    let text;
    try {
        answer = await fetch(url, options);
        text = await answer.text();
    } catch (error) {
        if (signal?.aborted) throw error;
        throw new Problem(
            0,
            limit.aborted ? `The app did not answer within ${TIMEOUT_MILLISECONDS / 1000} s.` : "The app does not answer.",
        );
    }
    return read(answer, text, accept, exact);
}

function read(answer, text, accept, exact) {
    let document = null;
    try {
        document = text ? exactJson(text, exact) : null;
    } catch {
        throw new Problem(answer.status || 502, `The answer (status ${answer.status}) is not JSON.`);
    }
    if (answer.ok || accept.includes(answer.status)) {
        learnClock(
            document?.as_of ??
                document?.relays
                    ?.map((relay) => relay.as_of)
                    .filter(Boolean)
                    .sort()
                    .at(-1),
        );
        return document;
    }
    const detail = document?.detail ?? document?.title ?? `The app answered with status ${answer.status}.`;
    throw new Problem(answer.status, detail, document?.field ?? null);
}

export const get = (path, options) => ask("GET", path, options);

/** What a row's page asks for: the text of the address is a value, or a JSON object for a key of several columns. */
export function rowRequest(relay, text, values) {
    const key = objectKey(text);
    const [one, many] = values ? [["rows", text, "values"], "row-values"] : [["rows", text], "row"];
    if (key === null || Object.values(key).some((value) => value === "")) return { path: ["relays", relay, ...one], query: {} };
    const query = Object.fromEntries(Object.entries(key).map(([name, value]) => [name, value?.rawJSON ?? value]));
    return { path: ["relays", relay, many], query };
}

function objectKey(text) {
    if (!text.startsWith("{")) return null;
    try {
        const key = exactJson(text);
        return key && typeof key === "object" && !Array.isArray(key) ? key : null;
    } catch {
        return null;
    }
}
