package account

import (
	"context"
	"net"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"lumela/internal/problem"
)

// ConsoleHeader must accompany every changing request that is authorised by the console's cookie: another site's page
// cannot send it.
const ConsoleHeader = "X-Lumela-Console"

// Middleware finds out who makes a request: by bearer token, or by the console's cookie.
func (a *Accounts) Middleware(next http.Handler) http.Handler {
	return a.sessions.LoadAndSave(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, ok, err := a.identify(r)
		if err != nil {
			problem.WriteHTTP(w, err)
			return
		}
		if ok {
			r = r.WithContext(With(r.Context(), p))
		}
		next.ServeHTTP(w, r)
	}))
}

func (a *Accounts) identify(r *http.Request) (Principal, bool, error) {
	if scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok && strings.EqualFold(scheme, "Bearer") {
		p, err := a.Key(r.Context(), strings.TrimSpace(token))
		return p, err == nil, err
	}
	id := a.sessions.GetString(r.Context(), "user")
	if id == "" {
		return Principal{}, false, nil
	}
	u, err := a.user(r.Context(), id)
	if problem.Is(err, problem.NotFound) {
		return Principal{}, false, nil
	}
	if err != nil {
		return Principal{}, false, err
	}
	if changes(r.Method) && r.Header.Get(ConsoleHeader) == "" {
		return Principal{}, false, problem.New(problem.Forbidden, "a changing request with the console's cookie needs the header %s", ConsoleHeader)
	}
	return Principal{Organisation: u.Organisation, Role: u.Role, Name: u.Email, UserID: u.ID}, true, nil
}

func changes(method string) bool {
	return method != http.MethodGet && method != http.MethodHead && method != http.MethodOptions
}

// Me is who is signed in.
type Me struct {
	User         *User        `json:"user,omitempty" doc:"Absent for an API key"`
	Organisation Organisation `json:"organisation"`
	Role         Role         `json:"role" enum:"viewer,operator,owner"`
}

type meOutput struct{ Body Me }

type signInInput struct {
	Remote string `hidden:"true" header:"X-Remote"`
	Body   struct {
		Email    string `json:"email" maxLength:"254"`
		Password string `json:"password" maxLength:"256"`
	}
}

// Resolve notes where the attempt comes from, whatever the client claims.
func (in *signInInput) Resolve(ctx huma.Context) []error {
	in.Remote, _, _ = net.SplitHostPort(ctx.RemoteAddr())
	return nil
}

// Register adds the operations of this package to the API.
func (a *Accounts) Register(api huma.API) {
	huma.Register(api, huma.Operation{OperationID: "sign-in", Method: http.MethodPost, Path: "/auth/sign-in",
		Summary: "Sign in to the console", Tags: []string{"Account"}},
		func(ctx context.Context, in *signInInput) (*meOutput, error) {
			u, err := a.SignIn(ctx, in.Body.Email, in.Body.Password, in.Remote)
			if err != nil {
				return nil, err
			}
			if err := a.sessions.RenewToken(ctx); err != nil {
				return nil, problem.Wrap("renew the sign-in", err)
			}
			a.sessions.Put(ctx, "user", u.ID)
			return a.me(ctx, Principal{Organisation: u.Organisation, Role: u.Role, UserID: u.ID})
		})
	huma.Register(api, huma.Operation{OperationID: "sign-out", Method: http.MethodPost, Path: "/auth/sign-out",
		Summary: "Sign out of the console", Tags: []string{"Account"}, DefaultStatus: http.StatusNoContent},
		func(ctx context.Context, _ *struct{}) (*struct{}, error) {
			return nil, problem.Wrap("end the sign-in", a.sessions.Destroy(ctx))
		})
	huma.Register(api, huma.Operation{OperationID: "me", Method: http.MethodGet, Path: "/auth/me",
		Summary: "Who is signed in", Tags: []string{"Account"}},
		func(ctx context.Context, _ *struct{}) (*meOutput, error) {
			p, err := From(ctx)
			if err != nil {
				return nil, err
			}
			return a.me(ctx, p)
		})
}

func (a *Accounts) me(ctx context.Context, p Principal) (*meOutput, error) {
	org, err := a.organisation(ctx, p.Organisation)
	if err != nil {
		return nil, err
	}
	out := &meOutput{Body: Me{Organisation: org, Role: p.Role}}
	if p.UserID != "" {
		u, err := a.user(ctx, p.UserID)
		if err != nil {
			return nil, err
		}
		out.Body.User = &u
	}
	return out, nil
}
