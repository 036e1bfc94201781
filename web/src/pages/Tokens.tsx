import { Button, Skeleton, TextInput, UnstyledButton } from "@mantine/core";
import { useDeferredValue, useMemo, useState } from "react";
import { useSearchParams } from "react-router";
import { useTokens } from "../api/queries";
import { count } from "../format";
import { PlusIcon, SearchIcon } from "../parts/icons";
import { Empty, ProblemView } from "../parts/Problem";
import { usePageTitle } from "../parts/usePageTitle";
import { t } from "../texts";
import { TokenDialog } from "../token/TokenDialog";
import { TokenList } from "../token/TokenList";
import { matchesToken } from "../token/token";
import css from "../token/token.module.css";

/** Who may charge. */
export function Tokens() {
  usePageTitle(t.tokens.title);
  const tokens = useTokens();
  const [adding, setAdding] = useState(false);
  const [params, setParams] = useSearchParams();
  const search = params.get("q") ?? "";
  const setSearch = (text: string) => setParams(text ? { q: text } : {}, { replace: true });
  const wanted = useDeferredValue(search);
  const all = tokens.data;
  const shown = useMemo(() => all?.filter((token) => matchesToken(token, wanted)) ?? [], [all, wanted]);

  return (
    <>
      <search className={css.tools}>
        <h1>{t.tokens.title}</h1>
        <TextInput
          className={css.search}
          type="search"
          aria-label={t.tokens.search}
          placeholder={t.tokens.searchHint}
          leftSection={<SearchIcon size={16} />}
          value={search}
          onChange={(e) => setSearch(e.currentTarget.value)}
          onKeyDown={(e) => {
            if (e.key === "Escape") setSearch("");
          }}
        />
        <span className={css.shown} role="status">
          {all && t.tokens.shown(all.length, count(shown.length), count(all.length))}
        </span>
        <Button leftSection={<PlusIcon size={16} />} onClick={() => setAdding(true)}>
          {t.tokens.add}
        </Button>
      </search>
      {tokens.isError && <ProblemView cause={tokens.error} retry={() => void tokens.refetch()} />}
      {tokens.isPending && <Skeleton height={180} radius="md" />}
      {all?.length === 0 && (
        <div className="card">
          <Empty title={t.tokens.empty}>{t.tokens.emptyHint}</Empty>
        </div>
      )}
      {all && all.length > 0 && shown.length === 0 && (
        <div className="card">
          <Empty title={t.tokens.nothing}>
            <UnstyledButton className={css.textButton} onClick={() => setSearch("")}>
              {t.tokens.clear}
            </UnstyledButton>
          </Empty>
        </div>
      )}
      {shown.length > 0 && <TokenList tokens={shown} />}
      {adding && <TokenDialog onClose={() => setAdding(false)} />}
    </>
  );
}
