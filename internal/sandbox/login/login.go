// Package login is the demo bank's own login application: the part that a real
// bank brings. The authorization server sends a customer here with a signed
// challenge; the customer logs in, or is still known from a moment ago, and goes
// back with a signed and encrypted answer. It answers no challenge that the
// issuer did not sign for it, and it sends nobody anywhere but to that issuer.
// Passwords live here and nowhere else.
package login

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/internal/jose"
)

// Path is where challenges arrive.
const Path = "/login"

// Config names both sides of the hand-over.
type Config struct {
	BaseURL     string        // of this application, without trailing slash
	Issuer      string        // whose challenges are answered, and whose callback is returned to
	SessionLife time.Duration // how long a customer is remembered
	Customers   []Customer
}

// Customer is one customer of the demo bank.
type Customer struct {
	ID                 string // the bank's own identifier
	Username, Password string
	Accounts           []fapi.Account
	Claims             map[string]string // name, email, ...
}

// Deps are the application's surroundings.
type Deps struct {
	Now    func() time.Time
	Rand   io.Reader
	Signer jose.Signer // signs answers; the issuer knows its public half
	// Refused is told why a customer was turned away.
	Refused func(cause error)
	// Keys returns the issuer's published keys, fresh ones when asked to.
	Keys func(ctx context.Context, fresh bool) (*jose.KeySet, error)
}

// App is the application.
type App struct {
	cfg      Config
	deps     Deps
	sessions *sessions
	pages    *pages
}

// New makes the application; it refuses missing parts and addresses that are not
// https.
func New(cfg Config, deps Deps) (*App, error) {
	if deps.Now == nil || deps.Rand == nil || deps.Keys == nil || deps.Refused == nil || deps.Signer.SignBytes == nil {
		return nil, errors.New("login: Now, Rand, Keys, Refused and Signer are needed")
	}
	if cfg.SessionLife <= 0 || len(cfg.Customers) == 0 {
		return nil, errors.New("login: SessionLife and Customers are needed")
	}
	for _, address := range []string{cfg.BaseURL, cfg.Issuer} {
		if u, err := url.Parse(address); err != nil || u.Scheme != "https" || strings.HasSuffix(address, "/") {
			return nil, fmt.Errorf("login: %q is not an https address without trailing slash", address)
		}
	}
	p, err := newPages()
	if err != nil {
		return nil, err
	}
	return &App{cfg: cfg, deps: deps, sessions: newSessions(cfg.SessionLife), pages: p}, nil
}

// Handler returns the application's pages. A form posted from another origin is
// refused.
func (a *App) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", a.home)
	mux.HandleFunc("POST /logout", a.logout)
	mux.HandleFunc("GET "+Path, a.ask)
	mux.HandleFunc("POST "+Path, a.answer)
	mux.HandleFunc("GET /style.css", a.pages.style)
	return harden(http.NewCrossOriginProtection().Handler(mux))
}

// ask shows the login page, unless the customer is still known and the challenge
// does not want to see them again.
func (a *App) ask(w http.ResponseWriter, r *http.Request) {
	c, err := a.readChallenge(r.Context(), r.URL.Query().Get("login_challenge"))
	if err != nil {
		a.refuse(w, err)
		return
	}
	if s, known := a.session(r); known && c.satisfiedBy(s.AuthTime, a.deps.Now()) {
		a.returnWith(w, r, c, s)
		return
	}
	a.pages.form(w, http.StatusOK, formView{Challenge: c.raw, Client: c.ClientName, Username: c.LoginHint})
}

// answer reads the login form: who is there, or that they want to leave.
func (a *App) answer(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, fapi.MaxBody)
	if err := r.ParseForm(); err != nil {
		a.refuse(w, fmt.Errorf("reading the form: %w", err))
		return
	}
	c, err := a.readChallenge(r.Context(), r.PostForm.Get("login_challenge"))
	if err != nil {
		a.refuse(w, err)
		return
	}
	if r.PostForm.Get("action") == "cancel" {
		a.send(w, r, c, response{Error: "access_denied"})
		return
	}
	customer, ok := a.authenticate(r.PostForm.Get("username"), r.PostForm.Get("password"))
	if !ok {
		a.pages.form(w, http.StatusForbidden, formView{Challenge: c.raw, Client: c.ClientName, Username: r.PostForm.Get("username"), Wrong: true})
		return
	}
	s := session{Customer: customer, AuthTime: a.deps.Now()}
	if err := a.remember(w, s); err != nil {
		a.refuse(w, err)
		return
	}
	a.returnWith(w, r, c, s)
}

// returnWith sends the customer back as who they are.
func (a *App) returnWith(w http.ResponseWriter, r *http.Request, c challenge, s session) {
	a.send(w, r, c, response{
		Subject: s.Customer.ID, ACR: c.acr(), AMR: []string{"pwd"}, AuthTime: s.AuthTime.Unix(),
		Accounts: s.Customer.Accounts, Claims: s.Customer.Claims,
	})
}

// refuse turns the customer away; the cause is not for them.
func (a *App) refuse(w http.ResponseWriter, cause error) {
	a.deps.Refused(cause)
	a.pages.refused(w)
}

// home tells who is known in this browser and lets them leave.
func (a *App) home(w http.ResponseWriter, r *http.Request) {
	s, known := a.session(r)
	view := homeView{Known: known}
	if known {
		view.Name = s.Customer.Username
	}
	a.pages.home(w, view)
}

func (a *App) logout(w http.ResponseWriter, r *http.Request) {
	if c, err := r.Cookie(cookieName); err == nil {
		a.sessions.forget(c.Value)
	}
	http.SetCookie(w, a.cookie("", -1))
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// harden sets the headers of every answer. There is no form-action: the browser
// would apply it to the redirect that leads back to the issuer. The referrer
// policy keeps challenges from other sites and Origin on our own forms.
func harden(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'")
		h.Set("Cache-Control", "no-store")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		next.ServeHTTP(w, r)
	})
}
