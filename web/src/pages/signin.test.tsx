import { screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { beforeEach, expect, it } from "vitest";
import { FakeEventSource, renderAt, stubApi } from "../test/api";
import { SignIn } from "./SignIn";

const me = {
  user: { id: "u", email: "a@example.org", name: "Anna", passwordOnce: false },
  organisation: { id: "o", name: "Org" },
  role: "owner",
};
const pages = [
  { path: "/sign-in", element: <SignIn /> },
  { path: "/", element: <p>The fleet</p> },
];
const refusal = { title: "Not signed in", status: 401, errors: [{ location: "code", message: "is needed" }] };

beforeEach(() => FakeEventSource.install());

async function enter(password: string) {
  const user = userEvent.setup();
  await user.type(await screen.findByLabelText("Email"), "a@example.org");
  await user.type(screen.getByLabelText("Password"), password);
  await user.click(screen.getByRole("button", { name: "Sign in" }));
  return user;
}

it("asks for the second factor when there is one, and says when the code is wrong", async () => {
  const calls = stubApi({
    "POST /auth/sign-in": ({ body }: { body: unknown }) =>
      (body as { code?: string }).code === "123456" ? { body: me } : { status: 401, body: refusal },
  });
  renderAt("/sign-in", pages);
  const user = await enter("right");
  const code = await screen.findByLabelText("Code");
  expect(screen.queryByRole("alert")).toBeNull();
  await user.type(code, "000000");
  await user.click(screen.getByRole("button", { name: "Sign in" }));
  expect((await screen.findByRole("alert")).textContent).toContain("not right");
  await user.clear(screen.getByLabelText("Code"));
  await user.type(screen.getByLabelText("Code"), "123456");
  await user.click(screen.getByRole("button", { name: "Sign in" }));
  await screen.findByText("The fleet");
  expect(calls[0]?.body).toEqual({ email: "a@example.org", password: "right" });
});

it("has who comes with a one-time password choose their own", async () => {
  const calls = stubApi({
    "POST /auth/sign-in": { ...me, user: { ...me.user, passwordOnce: true } },
    "POST /auth/password": { status: 204 },
  });
  renderAt("/sign-in", pages);
  const user = await enter("once-only");
  await user.type(await screen.findByLabelText("New password"), "a long one of mine");
  await user.click(screen.getByRole("button", { name: "Save and go on" }));
  await screen.findByText("The fleet");
  expect(calls.at(-1)?.body).toEqual({ old: "once-only", new: "a long one of mine" });
});
