package account

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"lumela/internal/page"
	"lumela/internal/problem"
)

type inviteInput struct {
	Body struct {
		Email string `json:"email" maxLength:"254"`
		Name  string `json:"name,omitempty" maxLength:"200"`
		Role  Role   `json:"role" enum:"owner,operator,technician,finance,viewer"`
	}
}

// Invited is a user with the password that is shown once.
type Invited struct {
	User
	Password string `json:"password,omitempty" doc:"One-time, for a week; shown once. Absent where none was made"`
}

type invitedOutput struct{ Body Invited }

type userOutput struct{ Body User }

type patchUserInput struct {
	ID   string `path:"id"`
	Body struct {
		Name              *string `json:"name,omitempty" maxLength:"200"`
		Role              *Role   `json:"role,omitempty" enum:"owner,operator,technician,finance,viewer"`
		Disabled          *bool   `json:"disabled,omitempty" doc:"Takes effect at once, on every node"`
		ResetPassword     bool    `json:"resetPassword,omitempty" doc:"Make a one-time password; the user is signed out everywhere"`
		ResetSecondFactor bool    `json:"resetSecondFactor,omitempty" doc:"For who has lost it"`
	}
}

type addKeyInput struct {
	Body struct {
		Name      string     `json:"name" minLength:"1" maxLength:"100"`
		Role      Role       `json:"role" enum:"owner,operator,technician,finance,viewer"`
		Scopes    []string   `json:"scopes,omitempty" maxItems:"50" doc:"Permissions that narrow the role, as stations:read; empty for all that the role may"`
		ExpiresAt *time.Time `json:"expiresAt,omitempty" doc:"Never when absent"`
	}
}

// NewKey is an API key with the key itself.
type NewKey struct {
	APIKey
	Key string `json:"key,omitempty" doc:"Shown once"`
}

type newKeyOutput struct{ Body NewKey }

type keyOutput struct{ Body APIKey }

func (a *Accounts) registerUsers(api huma.API) {
	huma.Register(api, op("list-users", http.MethodGet, "/users", "List the users", 200),
		func(ctx context.Context, in *page.Query) (*page.Output[User], error) {
			p, after, err := listing(ctx, *in)
			if err != nil {
				return nil, err
			}
			list, err := a.Users(ctx, p.Organisation, after, in.Limit+1)
			if err != nil {
				return nil, err
			}
			return page.Of(list, in.Limit, func(u User) []string { return []string{u.ID} }), nil
		})
	huma.Register(api, op("get-user", http.MethodGet, "/users/{id}", "Read a user", 200),
		func(ctx context.Context, in *idInput) (*userOutput, error) {
			p, err := May(ctx, AccountsRead)
			if err != nil {
				return nil, err
			}
			u, _, err := a.user(ctx, in.ID)
			if err == nil && u.Organisation != p.Organisation {
				err = errNoUser
			}
			return &userOutput{Body: u}, err
		})
	huma.Register(api, op("invite-user", http.MethodPost, "/users", "Invite a user with a one-time password", 201),
		func(ctx context.Context, in *inviteInput) (*invitedOutput, error) {
			p, err := May(ctx, AccountsWrite)
			if err != nil {
				return nil, err
			}
			u, password, err := a.Invite(ctx, p, User{Email: in.Body.Email, Name: in.Body.Name, Role: in.Body.Role})
			return &invitedOutput{Body: Invited{User: u, Password: password}}, err
		})
	huma.Register(api, op("patch-user", http.MethodPatch, "/users/{id}", "Change a user's role, disable, or help one who is locked out", 200),
		func(ctx context.Context, in *patchUserInput) (*invitedOutput, error) {
			p, err := May(ctx, AccountsWrite)
			if err != nil {
				return nil, err
			}
			b := in.Body
			u, password, err := a.ChangeUser(ctx, p, in.ID, UserChange{Name: b.Name, Role: b.Role, Disabled: b.Disabled,
				ResetPassword: b.ResetPassword, ResetFactor: b.ResetSecondFactor})
			return &invitedOutput{Body: Invited{User: u, Password: password}}, err
		})
	huma.Register(api, op("delete-user", http.MethodDelete, "/users/{id}", "Remove a user, never the last owner", 204),
		func(ctx context.Context, in *idInput) (*struct{}, error) {
			p, err := May(ctx, AccountsWrite)
			if err != nil {
				return nil, err
			}
			return nil, a.RemoveUser(ctx, p, in.ID)
		})
}

// listing is the start of a list of accounts.
func listing(ctx context.Context, q page.Query) (Principal, string, error) {
	p, err := May(ctx, AccountsRead)
	if err != nil {
		return p, "", err
	}
	after, err := q.Parse(1)
	if err != nil {
		return p, "", err
	}
	return p, after[0], nil
}

func (a *Accounts) registerKeys(api huma.API) {
	huma.Register(api, op("list-api-keys", http.MethodGet, "/api-keys", "List the API keys", 200),
		func(ctx context.Context, in *page.Query) (*page.Output[APIKey], error) {
			p, after, err := listing(ctx, *in)
			if err != nil {
				return nil, err
			}
			list, err := a.APIKeys(ctx, p.Organisation, after, in.Limit+1)
			if err != nil {
				return nil, err
			}
			return page.Of(list, in.Limit, func(k APIKey) []string { return []string{k.ID} }), nil
		})
	huma.Register(api, op("get-api-key", http.MethodGet, "/api-keys/{id}", "Read what is known of an API key", 200),
		func(ctx context.Context, in *idInput) (*keyOutput, error) {
			p, err := May(ctx, AccountsRead)
			if err != nil {
				return nil, err
			}
			k, err := a.apiKey(ctx, p.Organisation, in.ID)
			return &keyOutput{Body: k}, err
		})
	huma.Register(api, op("create-api-key", http.MethodPost, "/api-keys", "Make an API key", 201),
		func(ctx context.Context, in *addKeyInput) (*newKeyOutput, error) {
			p, err := May(ctx, AccountsWrite)
			if err != nil {
				return nil, err
			}
			k, key, err := a.AddKey(ctx, p, APIKey{Name: in.Body.Name, Role: in.Body.Role, Scopes: in.Body.Scopes, ExpiresAt: in.Body.ExpiresAt})
			return &newKeyOutput{Body: NewKey{APIKey: k, Key: key}}, err
		})
	huma.Register(api, op("delete-api-key", http.MethodDelete, "/api-keys/{id}", "Take an API key away; it works for seconds more at most, on any node", 204),
		func(ctx context.Context, in *idInput) (*struct{}, error) {
			p, err := May(ctx, AccountsWrite)
			if err != nil {
				return nil, err
			}
			return nil, a.RemoveKey(ctx, p.Organisation, in.ID)
		})
}

var errNoUser = problem.New(problem.NotFound, "no such user")
