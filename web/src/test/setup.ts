import { notifications } from "@mantine/notifications";
import { cleanup } from "@testing-library/react";
import { afterEach } from "vitest";

afterEach(() => {
  notifications.clean();
  cleanup();
});

// What jsdom lacks and the components ask for.
Object.defineProperty(window, "matchMedia", {
  value: (query: string) => ({
    matches: false,
    media: query,
    onchange: null,
    addListener: () => {},
    removeListener: () => {},
    addEventListener: () => {},
    removeEventListener: () => {},
    dispatchEvent: () => false,
  }),
});

class Observer {
  observe() {}
  unobserve() {}
  disconnect() {}
}
window.ResizeObserver = Observer;
Object.defineProperty(document, "fonts", { value: new EventTarget() });
Element.prototype.scrollIntoView = () => {};
window.scrollTo = () => {};
// A virtual list draws only what fits: give it something to fit into.
Object.defineProperty(HTMLElement.prototype, "offsetHeight", { value: 40 });
Object.defineProperty(HTMLElement.prototype, "offsetWidth", { value: 1000 });
