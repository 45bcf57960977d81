// Light, dark, or as the system says. It runs before the first paint, so that the page does not flash.
(() => {
    const KEY = "rowpost-theme";
    const NEXT = { system: "light", light: "dark", dark: "system" };
    const root = document.documentElement;
    let theme = localStorage.getItem(KEY) ?? "system";

    function apply() {
        if (theme === "system") delete root.dataset.theme;
        else root.dataset.theme = theme;
    }

    apply();
    document.addEventListener("DOMContentLoaded", () => {
        const button = document.getElementById("theme");
        const say = () => {
            button.textContent = `Colours: ${theme}`;
        };
        say();
        button.addEventListener("click", () => {
            theme = NEXT[theme] ?? "system";
            localStorage.setItem(KEY, theme);
            apply();
            say();
        });
    });
})();
