package account

import (
	"context"
	"net"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"

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
	id := a.sessions.GetString(r.Context(), inUser)
	if id == "" {
		return Principal{}, false, nil
	}
	u, _, err := a.user(r.Context(), id)
	if problem.Is(err, problem.NotFound) || err == nil && u.Disabled {
		return Principal{}, false, nil
	}
	if err != nil {
		return Principal{}, false, err
	}
	if changes(r.Method) && r.Header.Get(ConsoleHeader) == "" {
		return Principal{}, false, problem.New(problem.Forbidden, "a changing request with the console's cookie needs the header %s", ConsoleHeader)
	}
	return Principal{Organisation: u.Organisation, Role: u.Role, Name: u.Email, UserID: u.ID,
		signIn: a.sessions.GetString(r.Context(), inID), mustChange: u.PasswordOnce}, true, nil
}

func changes(method string) bool {
	return method != http.MethodGet && method != http.MethodHead && method != http.MethodOptions
}

// Me is who is signed in.
type Me struct {
	User         *User        `json:"user,omitempty" doc:"Absent for an API key"`
	Organisation Organisation `json:"organisation"`
	Role         Role         `json:"role" enum:"owner,operator,technician,finance,viewer"`
	Permissions  []Permission `json:"permissions" doc:"What the caller may do"`
}

type meOutput struct{ Body Me }

// maxAgent bounds what is kept of the name of a browser, in bytes.
const maxAgent = 300

type signInInput struct {
	Remote string `hidden:"true" header:"X-Remote"`
	Agent  string `hidden:"true" header:"X-Agent"`
	Body   struct {
		Email    string `json:"email" maxLength:"254"`
		Password string `json:"password" maxLength:"256"`
		Code     string `json:"code,omitempty" maxLength:"64" doc:"Of the second factor, or a recovery code. Where it is needed and absent, the answer is 401 with an error at \"code\""`
	}
}

// Resolve notes where the attempt comes from, whatever the client claims.
func (in *signInInput) Resolve(ctx huma.Context) []error {
	in.Remote, _, _ = net.SplitHostPort(ctx.RemoteAddr())
	in.Agent = ctx.Header("User-Agent")
	if len(in.Agent) > maxAgent {
		in.Agent = in.Agent[:maxAgent]
	}
	in.Agent = strings.ToValidUTF8(in.Agent, "?")
	return nil
}

// Register adds the operations of this package to the API.
func (a *Accounts) Register(api huma.API) {
	huma.Register(api, op("sign-in", http.MethodPost, "/auth/sign-in", "Sign in to the console", 200), a.signInTo)
	huma.Register(api, op("sign-out", http.MethodPost, "/auth/sign-out", "Sign out of the console", 204),
		func(ctx context.Context, _ *struct{}) (*struct{}, error) {
			return nil, problem.Wrap("end the sign-in", a.sessions.Destroy(ctx))
		})
	huma.Register(api, op("me", http.MethodGet, "/auth/me", "Who is signed in, and what they may do", 200),
		func(ctx context.Context, _ *struct{}) (*meOutput, error) {
			p, err := From(ctx)
			if err != nil {
				return nil, err
			}
			return a.me(ctx, p)
		})
	a.registerOwn(api)
	a.registerUsers(api)
	a.registerKeys(api)
}

func op(id, method, path, summary string, status int) huma.Operation {
	return huma.Operation{OperationID: id, Method: method, Path: path, Summary: summary, Tags: []string{"Account"}, DefaultStatus: status}
}

func (a *Accounts) signInTo(ctx context.Context, in *signInInput) (*meOutput, error) {
	u, err := a.SignIn(ctx, Credentials{Email: in.Body.Email, Password: in.Body.Password, Code: in.Body.Code, Address: in.Remote})
	if err != nil {
		return nil, err
	}
	if err := a.sessions.RenewToken(ctx); err != nil {
		return nil, problem.Wrap("renew the sign-in", err)
	}
	a.sessions.Put(ctx, inUser, u.ID)
	a.sessions.Put(ctx, inID, uuid.Must(uuid.NewV7()).String())
	a.sessions.Put(ctx, inAddress, in.Remote)
	a.sessions.Put(ctx, inAgent, in.Agent)
	return a.me(ctx, Principal{Organisation: u.Organisation, Role: u.Role, UserID: u.ID, mustChange: u.PasswordOnce})
}

func (a *Accounts) me(ctx context.Context, p Principal) (*meOutput, error) {
	org, err := a.organisation(ctx, p.Organisation)
	if err != nil {
		return nil, err
	}
	out := &meOutput{Body: Me{Organisation: org, Role: p.Role, Permissions: []Permission{}}}
	for _, g := range Grants {
		if p.Can(g.Permission) && !p.mustChange {
			out.Body.Permissions = append(out.Body.Permissions, g.Permission)
		}
	}
	if p.UserID != "" {
		u, _, err := a.user(ctx, p.UserID)
		if err != nil {
			return nil, err
		}
		out.Body.User = &u
	}
	return out, nil
}
