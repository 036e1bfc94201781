import { Button } from "@mantine/core";
import { Link, useRouteError } from "react-router";
import { Empty, ProblemView } from "../parts/Problem";
import { usePageTitle } from "../parts/usePageTitle";
import { t } from "../texts";

export function NotFound() {
  usePageTitle(t.errors.notFound);
  return (
    <Empty title={t.errors.notFound}>
      <p>{t.errors.notFoundHint}</p>
      <Link to="/">{t.errors.toFleet}</Link>
    </Empty>
  );
}

/** Stands where a page failed to render, or its file could not be fetched (after an update, a reload helps). */
export function Crash() {
  const cause = useRouteError();
  usePageTitle(t.errors.crashed);
  return (
    <main style={{ maxWidth: 640, margin: "10vh auto", padding: "0 20px" }}>
      <h1>{t.errors.crashed}</h1>
      <ProblemView cause={cause} />
      <Button mt="md" onClick={() => window.location.reload()}>
        {t.errors.reload}
      </Button>
    </main>
  );
}
