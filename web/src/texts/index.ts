import { en } from "./en";

/** A language is one module of the same shape as the English one; a missing text does not compile. */
export type Texts = typeof en;

/**
 * The texts of the current language. Another language is loaded and set before the first render
 * (see `use`), so that components can read from it directly.
 */
export let t: Texts = en;

/** The language tag for Intl: numbers and times follow the browser's own region, words follow the texts. */
export const locale: string = globalThis.navigator?.language || "en";

export function use(texts: Texts): void {
  t = texts;
}
