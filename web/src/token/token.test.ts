import { expect, it } from "vitest";
import type { Token } from "../api/types";
import { en } from "../texts/en";
import { fromLocalInput, matchesToken, tokenState, toLocalInput } from "./token";

const token = (over: Partial<Token>): Token => ({
  id: "1",
  uid: "AB12",
  type: "eMAID",
  status: "active",
  group: "Fleet",
  validUntil: null,
  note: "Ann's card",
  createdAt: "",
  ...over,
});
const now = Date.parse("2026-05-04T10:00:00Z");

it.each([
  [{}, "active"],
  [{ validUntil: "2026-05-04T10:00:01Z" }, "active"],
  [{ validUntil: "2026-05-04T10:00:00Z" }, "expired"],
  [{ status: "blocked" as const, validUntil: "2020-01-01T00:00:00Z" }, "blocked"],
])("a token with %o is %s", (over, state) => expect(tokenState(token(over), now)).toBe(state));

it.each([
  ["", true],
  [" ab1 ", true],
  ["fleet", true],
  ["emaid", true],
  ["ann's", true],
  ["zz", false],
])("%o is found: %s", (wanted, found) => expect(matchesToken(token({}), wanted)).toBe(found));

it("a token without type is found as one of any type", () =>
  expect(matchesToken(token({ type: "" }), "any type")).toBe(true));

it("times survive the input, to the minute", () => {
  const iso = "2026-03-29T00:59:00.000Z";
  expect(fromLocalInput(toLocalInput(iso))).toBe(iso);
  expect(toLocalInput(null)).toBe("");
  expect(fromLocalInput("")).toBeUndefined();
  expect(fromLocalInput("yesterday")).toBeNull();
});

it("offers the twelve types of OCPP 2.1, each once", () => expect(new Set(en.tokenTypes).size).toBe(12));
