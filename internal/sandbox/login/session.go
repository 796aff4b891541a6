package login

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"sync"
	"time"

	"github.com/procura/procura/internal/fapi"
)

const (
	cookieName  = "__Host-demo-bank"
	maxSessions = 10_000
)

// session is a customer who has logged in.
type session struct {
	Customer Customer
	AuthTime time.Time
}

// sessions remembers customers by a digest of what their browser holds, for a
// while and in memory only. It forgets everybody rather than grow without bound.
type sessions struct {
	life time.Duration
	mu   sync.Mutex
	byID map[fapi.Digest]session
}

func newSessions(life time.Duration) *sessions {
	return &sessions{life: life, byID: map[fapi.Digest]session{}}
}

func (s *sessions) put(id fapi.Secret, who session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, old := range s.byID {
		if who.AuthTime.Sub(old.AuthTime) > s.life || len(s.byID) >= maxSessions {
			delete(s.byID, key)
		}
	}
	s.byID[id.Digest()] = who
}

func (s *sessions) find(id string, now time.Time) (session, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	who, ok := s.byID[fapi.Secret(id).Digest()]
	return who, ok && now.Sub(who.AuthTime) <= s.life
}

func (s *sessions) forget(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.byID, fapi.Secret(id).Digest())
}

// authenticate compares digests in constant time and asks every customer, so that
// an unknown name takes as long as a wrong password.
func (a *App) authenticate(username, password string) (Customer, bool) {
	given := sha256.Sum256([]byte(password))
	var found Customer
	var ok bool
	for _, c := range a.cfg.Customers {
		want := sha256.Sum256([]byte(c.Password))
		if subtle.ConstantTimeCompare(given[:], want[:]) == 1 && c.Username == username {
			found, ok = c, true
		}
	}
	return found, ok
}

// remember starts a new session; an older one of the same browser is replaced.
func (a *App) remember(w http.ResponseWriter, s session) error {
	id, err := fapi.NewSecret(a.deps.Rand, 32)
	if err != nil {
		return err
	}
	a.sessions.put(id, s)
	http.SetCookie(w, a.cookie(id.Reveal(), int(a.cfg.SessionLife.Seconds())))
	return nil
}

func (a *App) session(r *http.Request) (session, bool) {
	c, err := r.Cookie(cookieName)
	if err != nil {
		return session{}, false
	}
	return a.sessions.find(c.Value, a.deps.Now())
}

// cookie is Lax: the issuer's redirect that brings the customer here is a
// navigation from another site.
func (a *App) cookie(value string, maxAge int) *http.Cookie {
	return &http.Cookie{
		Name: cookieName, Value: value, Path: "/", MaxAge: maxAge,
		Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
}
