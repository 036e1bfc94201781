import { Button, PasswordInput, TextInput } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { useNavigate, useSearchParams } from "react-router";
import { client, need } from "../api/client";
import { keys } from "../api/keys";
import { Problem, toProblem } from "../api/problem";
import { ProblemView } from "../parts/Problem";
import { usePageTitle } from "../parts/usePageTitle";
import { t } from "../texts";
import css from "./SignIn.module.css";

export function SignIn() {
  usePageTitle(t.signIn.title);
  const [search] = useSearchParams();
  const [email, setEmail] = useState("");
  const [password, setPassword] = useState("");
  const [code, setCode] = useState("");
  const [once, setOnce] = useState(false);
  const queryClient = useQueryClient();
  const navigate = useNavigate();

  const signIn = useMutation({
    mutationFn: () =>
      need(
        client.POST("/auth/sign-in", {
          body: { email: email.trim(), password, ...(code ? { code: code.trim() } : {}) },
        }),
      ),
    onSuccess: (me) => {
      if (me.user?.passwordOnce) {
        setOnce(true);
        return;
      }
      queryClient.setQueryData(keys.me, me);
      navigate(safePath(search.get("next")), { replace: true });
    },
  });
  const factor = code !== "" || (signIn.isError && asksForCode(signIn.error));

  const submit = (event: FormEvent) => {
    event.preventDefault();
    signIn.mutate();
  };

  if (once) {
    const done = () => {
      queryClient.clear();
      navigate(safePath(search.get("next")), { replace: true });
    };
    return <OwnPassword once={password} done={done} />;
  }
  return (
    <main className={css.page}>
      <form onSubmit={submit} className={`card ${css.card}`}>
        <div className={css.brand}>
          <img src="/icon.svg" width={40} height={40} alt="" />
          <div>
            <strong>{t.product}</strong>
            <span>{t.console}</span>
          </div>
        </div>
        <h1>{t.signIn.title}</h1>
        {search.has("ended") && !signIn.isError && <p className={css.ended}>{t.signIn.ended}</p>}
        {signIn.isError && !(asksForCode(signIn.error) && code === "") && (
          <ProblemView cause={worded(signIn.error)} />
        )}
        <TextInput
          label={t.signIn.email}
          type="email"
          name="email"
          autoComplete="username"
          required
          withAsterisk={false}
          autoFocus
          value={email}
          onChange={(e) => setEmail(e.currentTarget.value)}
        />
        <PasswordInput
          label={t.signIn.password}
          name="password"
          autoComplete="current-password"
          required
          withAsterisk={false}
          value={password}
          onChange={(e) => setPassword(e.currentTarget.value)}
        />
        {factor && (
          <TextInput
            label={t.signIn.code}
            description={t.signIn.codeHint}
            name="code"
            autoComplete="one-time-code"
            required
            withAsterisk={false}
            autoFocus
            value={code}
            onChange={(e) => setCode(e.currentTarget.value)}
          />
        )}
        <Button type="submit" fullWidth loading={signIn.isPending}>
          {t.signIn.submit}
        </Button>
      </form>
      <p className={css.lead}>{t.signIn.lead}</p>
    </main>
  );
}

/** A one-time password opens nothing but the choice of one's own. */
function OwnPassword({ once, done }: { once: string; done: () => void }) {
  const [fresh, setFresh] = useState("");
  const change = useMutation({
    mutationFn: () => need(client.POST("/auth/password", { body: { old: once, new: fresh } })),
    onSuccess: done,
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    change.mutate();
  };
  return (
    <main className={css.page}>
      <form onSubmit={submit} className={`card ${css.card}`}>
        <h1>{t.signIn.ownTitle}</h1>
        <p>{t.signIn.ownHint}</p>
        {change.isError && <ProblemView cause={change.error} />}
        <PasswordInput
          label={t.signIn.ownPassword}
          description={t.signIn.ownRule}
          name="new-password"
          autoComplete="new-password"
          required
          minLength={12}
          withAsterisk={false}
          autoFocus
          value={fresh}
          onChange={(e) => setFresh(e.currentTarget.value)}
        />
        <Button type="submit" fullWidth loading={change.isPending}>
          {t.signIn.ownSubmit}
        </Button>
      </form>
    </main>
  );
}

/** The password is right, and a second factor is wanted. */
function asksForCode(cause: unknown): boolean {
  const problem = toProblem(cause);
  return problem.status === 401 && problem.errors.some((e) => e.location?.endsWith("code"));
}

/** A refusal is told in words of the page; anything else in its own. */
function worded(cause: unknown): Problem {
  const problem = toProblem(cause);
  if (asksForCode(cause)) return new Problem(401, t.signIn.wrongCode);
  return problem.status === 401 ? new Problem(401, t.signIn.wrong) : problem;
}

/** Only paths of this console: another origin in `next` would make the sign-in a springboard for phishing. */
export function safePath(next: string | null): string {
  if (!next?.startsWith("/") || next.startsWith("//") || next.includes("\\")) return "/";
  return next.startsWith("/sign-in") ? "/" : next;
}
