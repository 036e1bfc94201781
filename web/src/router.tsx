import { createBrowserRouter } from "react-router";
import { Crash, NotFound } from "./pages/Errors";
import { Shell } from "./shell/Shell";

/** Each page is a file of its own for the browser; the fleet and the sign-in come first. */
export const router = createBrowserRouter([
  {
    path: "/sign-in",
    errorElement: <Crash />,
    HydrateFallback: () => null,
    lazy: async () => ({ Component: (await import("./pages/SignIn")).SignIn }),
  },
  {
    path: "/",
    element: <Shell />,
    errorElement: <Crash />,
    HydrateFallback: () => null,
    children: [
      {
        errorElement: <Crash />,
        children: [
          { index: true, lazy: async () => ({ Component: (await import("./pages/Fleet")).Fleet }) },
          {
            path: "stations/:id",
            lazy: async () => ({ Component: (await import("./pages/Station")).StationPage }),
          },
          {
            path: "sessions",
            lazy: async () => ({ Component: (await import("./pages/Sessions")).Sessions }),
          },
          {
            path: "sessions/:id",
            lazy: async () => ({ Component: (await import("./pages/Session")).SessionPage }),
          },
          {
            path: "tokens",
            lazy: async () => ({ Component: (await import("./pages/Tokens")).Tokens }),
          },
          {
            path: "history",
            lazy: async () => ({ Component: (await import("./pages/History")).History }),
          },
          {
            path: "installation",
            lazy: async () => ({ Component: (await import("./pages/Installation")).Installation }),
          },
          { path: "*", element: <NotFound /> },
        ],
      },
    ],
  },
]);
