// What is said: the sentence that follows an order, and news for those who listen to the page.

const MILLISECONDS = 8000;
const part = (id) => document.getElementById(id);
let timer = null;

/** Says something to a screen reader only. */
export function announce(text) {
    part("announce").textContent = text;
}

/** Shows a sentence for some seconds. */
export function toast(text) {
    announce(text);
    const box = part("toast");
    box.textContent = text;
    box.hidden = false;
    clearTimeout(timer);
    timer = setTimeout(hush, MILLISECONDS);
}

/** Takes the sentence away. A new order does so, or what the former one said would pass for its answer. */
export function hush() {
    clearTimeout(timer);
    announce("");
    part("toast").hidden = true;
}
