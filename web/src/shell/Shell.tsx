import { Menu, Tooltip, UnstyledButton, useMantineColorScheme } from "@mantine/core";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";
import { Navigate, NavLink, Outlet, useLocation, useNavigate } from "react-router";
import { client, need, onSignedOut } from "../api/client";
import { toProblem } from "../api/problem";
import { meQuery } from "../api/queries";
import type { Me } from "../api/types";
import {
  AutoIcon,
  BarsIcon,
  MoonIcon,
  NodeIcon,
  SessionIcon,
  StationIcon,
  SunIcon,
  TokenIcon,
  UserIcon,
} from "../parts/icons";
import { notifyProblem, ProblemView } from "../parts/Problem";
import { t } from "../texts";
import css from "./Shell.module.css";
import { useLive } from "./useLive";

/** The frame around every page behind the sign-in. Without a session it leads to the sign-in and back. */
export function Shell() {
  const me = useQuery(meQuery);
  const location = useLocation();
  if (me.isPending) return null;
  if (me.isError) {
    if (toProblem(me.error).status === 401) {
      const next = encodeURIComponent(location.pathname + location.search);
      return <Navigate to={`/sign-in?next=${next}`} replace />;
    }
    return (
      <main className={css.outage}>
        <ProblemView cause={me.error} retry={() => void me.refetch()} />
      </main>
    );
  }
  return <Frame me={me.data} />;
}

function Frame({ me }: { me: Me }) {
  const queryClient = useQueryClient();
  const navigate = useNavigate();
  const link = useLive();

  useEffect(
    () =>
      onSignedOut(() => {
        queryClient.clear();
        const next = encodeURIComponent(window.location.pathname + window.location.search);
        navigate(`/sign-in?ended=1&next=${next}`, { replace: true });
      }),
    [queryClient, navigate],
  );

  return (
    <div className={css.frame}>
      <a href="#content" className="skip">
        {t.skip}
      </a>
      <header className={css.bar}>
        <NavLink to="/" className={css.brand} aria-label={t.product} end>
          <img src="/icon.svg" width={26} height={26} alt="" />
          <span>{t.product}</span>
        </NavLink>
        <nav aria-label={t.shell.navigation} className={css.nav}>
          <NavLink to="/" end>
            <StationIcon /> <span>{t.shell.fleet}</span>
          </NavLink>
          <NavLink to="/sessions">
            <SessionIcon /> <span>{t.shell.sessions}</span>
          </NavLink>
          <NavLink to="/tokens">
            <TokenIcon /> <span>{t.shell.tokens}</span>
          </NavLink>
          <NavLink to="/history">
            <BarsIcon /> <span>{t.shell.history}</span>
          </NavLink>
          <NavLink to="/installation">
            <NodeIcon /> <span>{t.shell.installation}</span>
          </NavLink>
        </nav>
        <div className={css.tools}>
          <span className={css.live} data-state={link} role="status">
            {t.shell[link]}
          </span>
          <SchemeButton />
          <Account me={me} />
        </div>
      </header>
      <main id="content" tabIndex={-1} className={css.content}>
        <Outlet />
      </main>
    </div>
  );
}

const schemes = { auto: AutoIcon, light: SunIcon, dark: MoonIcon };

function SchemeButton() {
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  const order = ["auto", "light", "dark"] as const;
  const Icon = schemes[colorScheme];
  const label = t.shell[colorScheme];
  return (
    <Tooltip label={label}>
      <UnstyledButton
        className={css.tool}
        aria-label={label}
        onClick={() => setColorScheme(order[(order.indexOf(colorScheme) + 1) % order.length] ?? "auto")}
      >
        <Icon />
      </UnstyledButton>
    </Tooltip>
  );
}

function Account({ me }: { me: Me }) {
  const queryClient = useQueryClient();
  const navigate = useNavigate();
  const signOut = async () => {
    try {
      await need(client.POST("/auth/sign-out"));
      queryClient.clear();
      navigate("/sign-in");
    } catch (cause) {
      notifyProblem(cause);
    }
  };
  return (
    <Menu position="bottom-end" width={220} withInitialFocusPlaceholder={false}>
      <Menu.Target>
        <UnstyledButton className={css.tool} aria-label={t.shell.account}>
          <UserIcon />
        </UnstyledButton>
      </Menu.Target>
      <Menu.Dropdown>
        <div className={css.who}>
          <strong>{me.user?.name || me.user?.email}</strong>
          <span>{me.organisation.name}</span>
        </div>
        <Menu.Divider />
        <Menu.Item onClick={() => void signOut()}>{t.shell.signOut}</Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}
