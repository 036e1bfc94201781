package account

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"lumela/internal/db"
	"lumela/internal/page"
	"lumela/internal/problem"
)

type idInput struct {
	ID string `path:"id"`
}

type passwordInput struct {
	Body struct {
		Old string `json:"old" maxLength:"256"`
		New string `json:"new" maxLength:"256" doc:"At least 12 bytes"`
	}
}

type enrolInput struct {
	Body struct {
		Password string `json:"password" maxLength:"256" doc:"The present one"`
	}
}

type enrolOutput struct {
	Body struct {
		Secret string `json:"secret" doc:"To type into the authenticator app; shown once"`
		URL    string `json:"url" doc:"otpauth://…, for a QR code; shown once"`
	}
}

type codeInput struct {
	Body struct {
		Code string `json:"code" minLength:"1" maxLength:"64"`
	}
}

type removeFactorInput struct {
	Body struct {
		Password string `json:"password" maxLength:"256" doc:"The present one"`
		Code     string `json:"code" minLength:"1" maxLength:"64" doc:"Of the second factor, or a recovery code"`
	}
}

type recoveryOutput struct {
	Body struct {
		RecoveryCodes []string `json:"recoveryCodes" doc:"Each works once in the place of a code; shown once"`
	}
}

// person is the principal of a request when it is somebody signed in at the console.
func person(ctx context.Context) (Principal, error) {
	p, err := From(ctx)
	if err == nil && p.UserID == "" {
		err = problem.New(problem.Forbidden, "this is for people who are signed in, not for API keys")
	}
	return p, err
}

// registerOwn adds what people do about their own access.
func (a *Accounts) registerOwn(api huma.API) {
	huma.Register(api, op("change-password", http.MethodPost, "/auth/password", "Change one's own password; all other sign-ins of the person end", 204),
		func(ctx context.Context, in *passwordInput) (*struct{}, error) {
			p, err := person(ctx)
			if err != nil {
				return nil, err
			}
			return nil, a.changePassword(ctx, p, in.Body.Old, in.Body.New)
		})
	huma.Register(api, op("list-sign-ins", http.MethodGet, "/auth/sessions", "One's own sign-ins, the newest first", 200), a.listSignIns)
	huma.Register(api, op("end-sign-in", http.MethodDelete, "/auth/sessions/{id}", "End one of one's own sign-ins", 204), a.endSignIn)
	huma.Register(api, op("enrol-second-factor", http.MethodPost, "/auth/totp", "Begin with a second factor (RFC 6238); it counts when it is confirmed", 200),
		func(ctx context.Context, in *enrolInput) (*enrolOutput, error) {
			p, err := person(ctx)
			if err != nil {
				return nil, err
			}
			u, err := a.ownPassword(ctx, p, in.Body.Password)
			if err != nil {
				return nil, err
			}
			secret, err := a.enrol(ctx, u.ID)
			if err != nil {
				return nil, err
			}
			out := &enrolOutput{}
			out.Body.Secret, out.Body.URL = otpText(secret), otpURL(u.Email, secret)
			return out, nil
		})
	huma.Register(api, op("confirm-second-factor", http.MethodPost, "/auth/totp/confirm", "Turn the second factor on with its first code", 200),
		func(ctx context.Context, in *codeInput) (*recoveryOutput, error) {
			return a.codes(ctx, in.Body.Code, a.confirm)
		})
	huma.Register(api, op("renew-recovery-codes", http.MethodPost, "/auth/totp/recovery-codes", "Make new recovery codes in the place of the old ones", 200),
		func(ctx context.Context, in *codeInput) (*recoveryOutput, error) {
			return a.codes(ctx, in.Body.Code, func(ctx context.Context, user, code string) ([]string, error) {
				if err := asked(a.proveFactor(ctx, user, code, true)); err != nil {
					return nil, err
				}
				return a.renewRecovery(ctx, user)
			})
		})
	huma.Register(api, op("remove-second-factor", http.MethodPost, "/auth/totp/remove", "Do without the second factor from now on", 204), a.removeFactor)
}

// asked makes of a wrong code a problem of the input: the caller is signed in.
func asked(err error) error {
	if e := problem.Of(err); err != nil && e.Kind == problem.Unauthorized {
		return problem.Field("code", "%s", e.Text)
	}
	return err
}

func (a *Accounts) codes(ctx context.Context, code string, do func(ctx context.Context, user, code string) ([]string, error)) (*recoveryOutput, error) {
	p, err := person(ctx)
	if err != nil {
		return nil, err
	}
	out := &recoveryOutput{}
	out.Body.RecoveryCodes, err = do(ctx, p.UserID, code)
	return out, asked(err)
}

func (a *Accounts) removeFactor(ctx context.Context, in *removeFactorInput) (*struct{}, error) {
	p, err := person(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := a.ownPassword(ctx, p, in.Body.Password); err != nil {
		return nil, err
	}
	if err := asked(a.proveFactor(ctx, p.UserID, in.Body.Code, true)); err != nil {
		return nil, err
	}
	err = a.db.Write(ctx, func(tx *db.Tx) error { return dropFactor(tx, p.UserID) })
	return nil, problem.Wrap("remove the second factor", err)
}

func (a *Accounts) listSignIns(ctx context.Context, _ *struct{}) (*page.Output[SignInView], error) {
	p, err := person(ctx)
	if err != nil {
		return nil, err
	}
	list, err := a.signIns(ctx, p.UserID)
	if err != nil {
		return nil, err
	}
	for i := range list {
		list[i].Current = list[i].ID == p.signIn
	}
	return page.Of(list, len(list), func(SignInView) []string { return nil }), nil
}

func (a *Accounts) endSignIn(ctx context.Context, in *idInput) (*struct{}, error) {
	p, err := person(ctx)
	if err != nil {
		return nil, err
	}
	ended := 0
	err = a.db.Write(ctx, func(tx *db.Tx) error {
		ended, err = endSignIns(tx, p.UserID, in.ID, "")
		return err
	})
	if err == nil && ended == 0 {
		err = problem.New(problem.NotFound, "no such sign-in")
	}
	return nil, problem.Wrap("end the sign-in", err)
}
