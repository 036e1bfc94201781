import type { Token } from "../api/types";
import { t } from "../texts";

export type TokenState = "active" | "blocked" | "expired";

/** Whether a token may charge at a time (ms since 1970). A block outlives the end of validity. */
export function tokenState(token: Token, now: number): TokenState {
  if (token.status === "blocked") return "blocked";
  if (token.validUntil && Date.parse(token.validUntil) <= now) return "expired";
  return "active";
}

export function typeLabel(token: Token): string {
  return token.type || t.tokens.anyType;
}

/** Whether a token has the wanted text in anything that a person would look for. */
export function matchesToken(token: Token, wanted: string): boolean {
  const text = wanted.trim().toLowerCase();
  if (!text) return true;
  return [token.uid, token.group, typeLabel(token), token.note].some((part) =>
    part.toLowerCase().includes(text),
  );
}

/** A time of the API in the form that an input of local date and time takes. */
export function toLocalInput(iso: string | null | undefined): string {
  if (!iso) return "";
  const at = new Date(iso);
  const two = (n: number) => String(n).padStart(2, "0");
  const day = `${String(at.getFullYear()).padStart(4, "0")}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  return `${day}T${two(at.getHours())}:${two(at.getMinutes())}`;
}

/** What such an input holds as a time of the API: undefined when it is empty, null when it is no time. */
export function fromLocalInput(text: string): string | undefined | null {
  if (!text) return undefined;
  const at = new Date(text);
  return Number.isNaN(at.getTime()) ? null : at.toISOString();
}
