/**
 * The API's types in the form that openapi-typescript writes. Replaced by `npm run generate`, which reads openapi.json.
 */
type S = components["schemas"];
type Problem = { content: { "application/problem+json": S["Problem"] } };
type Reply<T> = {
  200: { headers: Record<string, string>; content: { "application/json": T } };
  default: { headers: Record<string, string> } & Problem;
};
type Empty = {
  204: { headers: Record<string, string>; content?: never };
  default: { headers: Record<string, string> } & Problem;
};
type Page<T> = { items: T[]; next: string | null };
type Get<T, Path = never, Query = never> = {
  parameters: { query?: Query; header?: never; path: Path; cookie?: never };
  get: {
    parameters: { query?: Query; header?: never; path: Path; cookie?: never };
    requestBody?: never;
    responses: Reply<T>;
  };
};
type Post<R, Path = never, Query = never, Body = never> = {
  parameters: { query?: Query; header?: never; path: Path; cookie?: never };
  post: {
    parameters: { query?: Query; header?: never; path: Path; cookie?: never };
    requestBody: { content: { "application/json": Body } };
    responses: R;
  };
};
type Act<R, Path> = {
  parameters: { query?: never; header?: never; path: Path; cookie?: never };
  post: {
    parameters: { query?: never; header?: never; path: Path; cookie?: never };
    requestBody?: never;
    responses: R;
  };
};
type Id = { id: string };
type Paging = { limit?: number; cursor?: string };

export interface paths {
  "/auth/sign-in": {
    post: {
      parameters: { query?: never; header?: never; path?: never; cookie?: never };
      requestBody: { content: { "application/json": { email: string; password: string } } };
      responses: Reply<S["Me"]>;
    };
  };
  "/auth/sign-out": {
    post: {
      parameters: { query?: never; header?: never; path?: never; cookie?: never };
      requestBody?: never;
      responses: Empty;
    };
  };
  "/auth/me": {
    get: {
      parameters: { query?: never; header?: never; path?: never; cookie?: never };
      requestBody?: never;
      responses: Reply<S["Me"]>;
    };
  };
  "/overview": {
    get: {
      parameters: { query?: never; header?: never; path?: never; cookie?: never };
      requestBody?: never;
      responses: Reply<S["Overview"]>;
    };
  };
  "/stations": {
    get: {
      parameters: {
        query?: { search?: string; status?: string; online?: boolean; admission?: string } & Paging;
        header?: never;
        path?: never;
        cookie?: never;
      };
      requestBody?: never;
      responses: Reply<Page<S["Station"]>>;
    };
  };
  "/stations/{id}": Get<S["Station"], Id>;
  "/stations/{id}/accept": Act<Reply<S["Station"]>, Id>;
  "/stations/{id}/reject": Act<Reply<S["Station"]>, Id>;
  "/stations/{id}/variables": Get<Page<S["Variable"]>, Id, { component?: string } & Paging>;
  "/stations/{id}/status-history": Get<Page<S["StatusChange"]>, Id, { from?: string; to?: string } & Paging>;
  "/stations/{id}/link-history": Get<Page<S["Link"]>, Id, Paging>;
  "/stations/{id}/notices": Get<Page<S["Notice"]>, Id, { action?: string } & Paging>;
  "/stations/{id}/frames": Get<
    Page<S["Frame"]>,
    Id,
    { from?: string; to?: string; action?: string } & Paging
  >;
  "/stations/{id}/commands": Get<Page<S["Command"]>, Id, Paging>;
  "/stations/{id}/commands/{action}": Post<
    Reply<S["CommandResult"]>,
    { id: string; action: string },
    { wait?: string; queue?: boolean },
    Record<string, unknown>
  >;
  "/tokens": {
    get: {
      parameters: { query?: Paging; header?: never; path?: never; cookie?: never };
      requestBody?: never;
      responses: Reply<Page<S["Token"]>>;
    };
  };
  "/sessions": {
    get: {
      parameters: {
        query?: { station?: string; state?: "active" | "ended"; from?: string; to?: string } & Paging;
        header?: never;
        path?: never;
        cookie?: never;
      };
      requestBody?: never;
      responses: Reply<Page<S["Session"]>>;
    };
  };
  "/sessions/{id}": Get<S["Session"], Id>;
  "/sessions/{id}/meter-values": Get<Page<S["MeterValue"]>, Id, Paging>;
  "/sessions/{id}/frames": Get<Page<S["Frame"]>, Id, Paging>;
  "/sessions/{id}/stop": Act<Reply<S["CommandResult"]>, Id>;
}

export interface components {
  schemas: {
    Problem: {
      title: string;
      status: number;
      detail?: string;
      errors?: { message?: string; location?: string; value?: unknown }[];
    };
    Me: {
      user: { email: string; name: string };
      organisation: { id: string; name: string };
      role: string;
    };
    Overview: {
      stations: { total: number; online: number; pending: number };
      connectors: {
        available: number;
        occupied: number;
        charging: number;
        reserved: number;
        unavailable: number;
        faulted: number;
        unknown: number;
      };
      sessions: { active: number; today: number };
      energyTodayWh: number;
      powerW: number;
    };
    ConnectorError: { code: string; info: string };
    Connector: {
      id: number;
      status: string;
      detail: string;
      error: S["ConnectorError"] | null;
      type: string;
      since: string | null;
    };
    Evse: { id: number; status: string; connectors: S["Connector"][]; session: S["Session"] | null };
    Station: {
      id: string;
      vendor: string;
      model: string;
      serialNumber: string;
      firmware: string;
      protocol: string;
      online: boolean;
      lastSeen: string | null;
      connectedSince: string | null;
      admission: string;
      securityProfile: number;
      bootedAt: string | null;
      createdAt: string;
      evses: S["Evse"][];
    };
    Flag: { code: string; text: string; at: string };
    Session: {
      id: string;
      station: string;
      transactionId: string;
      evse: number;
      connector: number;
      token: string | null;
      tokenType: string;
      state: string;
      chargingState: string;
      startedAt: string;
      endedAt: string | null;
      energyWh: number;
      powerW: number;
      soc: number | null;
      stoppedReason: string;
      flags: S["Flag"][];
    };
    Sample: { measurand: string; phase: string; location: string; unit: string; value: string };
    MeterValue: { at: string; context: string; samples: S["Sample"][]; signed?: unknown };
    Variable: {
      component: string;
      componentInstance: string;
      evse: number | null;
      connector: number | null;
      variable: string;
      variableInstance: string;
      attribute: string;
      value: string;
      mutability: string;
      dataType: string;
      unit: string;
      updatedAt: string;
    };
    StatusChange: {
      evse: number;
      connector: number;
      status: string;
      detail: string;
      at: string;
      receivedAt: string;
    };
    Link: {
      connectedAt: string;
      disconnectedAt: string | null;
      reason: string;
      protocol: string;
      remote: string;
    };
    Notice: { id: string; action: string; at: string; payload: unknown };
    Note: { kind: string; field: string; text: string };
    Frame: {
      seq: number;
      time: string;
      direction: string;
      type: string;
      messageId: string;
      action: string;
      text: string;
      notes: S["Note"][] | null;
    };
    CommandResult: { id: string; status: string; response?: unknown; translation?: S["Note"][] | null };
    Command: {
      id: string;
      action: string;
      request: unknown;
      status: string;
      response?: unknown;
      error?: unknown;
      translation?: S["Note"][] | null;
      createdAt: string;
      finishedAt: string | null;
      by: string;
    };
    Token: {
      id: string;
      uid: string;
      type: string;
      status: string;
      group?: string | null;
      validUntil?: string | null;
      note?: string;
      createdAt: string;
    };
  };
}
