package resource_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/procura/procura/resource"
	"github.com/procura/procura/resource/resourcetest"
)

// deferred lets the verifier of a world be made before its feed.
type deferred struct{ *resource.Feed }

// follow runs a feed of the world's issuer until the test ends.
func follow(t testing.TB, w *world, edit func(*resource.FeedConfig)) (*resource.Feed, *reports) {
	t.Helper()
	client, err := resource.NewClient(w.issuer.ClientCertificate("gateway").TLS(), w.issuer.CA.Pool())
	must(t, err)
	cfg := resource.DefaultFeedConfig(w.issuer.URL+"/revocations", resourcetest.ServerID)
	cfg.MinBackoff, cfg.MaxBackoff = time.Millisecond, 20*time.Millisecond
	if edit != nil {
		edit(&cfg)
	}
	said := &reports{}
	feed, err := resource.NewFeed(cfg, resource.FeedDeps{Client: client, Now: w.clock.Now, Report: said.add})
	must(t, err)
	ctx, stop := context.WithCancel(t.Context())
	var done sync.WaitGroup
	done.Go(func() {
		if err := feed.Run(ctx); err == nil {
			t.Error("Run returned without an error")
		}
	})
	t.Cleanup(func() { stop(); done.Wait() })
	return feed, said
}

type reports struct {
	mu   sync.Mutex
	text []string
}

func (r *reports) add(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.text = append(r.text, err.Error())
}

func (r *reports) mention(what string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Contains(strings.Join(r.text, "\n"), what)
}

// fed is a world whose verifier listens to a real feed.
func fed(t testing.TB, edit func(*resource.FeedConfig)) (*world, *resource.Feed) {
	t.Helper()
	late := &deferred{}
	w := newWorld(t, late, nil)
	late.Feed, _ = follow(t, w, edit)
	synced(t, late.Feed)
	return w, late.Feed
}

func synced(t testing.TB, feed *resource.Feed) {
	t.Helper()
	eventually(t, 5*time.Second, "synced", func() bool { return feed.State().Synced })
}

// AT-06, F2-33: what ends is refused within a second, whatever it hangs from.
func TestRevocationArrivesWithinASecond(t *testing.T) {
	for _, c := range []struct{ kind, value string }{
		{"token", "jti-1"}, {"grant", resourcetest.GrantID}, {"consent", resourcetest.ConsentID}, {"client", resourcetest.ClientID},
	} {
		t.Run(c.kind, func(t *testing.T) {
			w, _ := fed(t, nil)
			token := w.issuer.Token(w.tpp.Cert) // jti-1
			_, err := w.verify(t, token)
			must(t, err)
			w.issuer.Feed.Revoke("grant", "somebody else's", w.clock.Now().Add(time.Hour))
			w.issuer.Feed.Revoke(c.kind, c.value, w.clock.Now().Add(10*time.Minute))
			eventually(t, time.Second, "refused", func() bool {
				_, err = w.verify(t, token)
				return err != nil
			})
			refused(t, err, 401, "invalid_token")
		})
	}
}

// An application token has neither grant nor consent: entries about an empty
// value must not exist and would not hit it.
func TestRevocationHitsNobodyElse(t *testing.T) {
	w, feed := fed(t, nil)
	w.issuer.Feed.Revoke("grant", resourcetest.GrantID, w.clock.Now().Add(time.Hour))
	w.issuer.Feed.Add(`{"id":"u","kind":"keys","value":"` + resourcetest.ClientID + `","revoked":true,"exp":9999999999}`)
	w.issuer.Feed.Add(`{"id":"n","kind":"client","value":"` + resourcetest.ClientID + `","revoked":false,"exp":9999999999}`)
	w.issuer.Feed.Revoke("grant", "the last one", w.clock.Now().Add(time.Hour))
	eventually(t, time.Second, "two entries", func() bool { return feed.State().Entries == 2 })
	_, err := w.verify(t, w.issuer.Sign("at+jwt", w.issuer.ApplicationClaims(w.tpp.Cert)))
	must(t, err)
}

func TestSnapshotComesBeforeTrust(t *testing.T) {
	late := &deferred{}
	w := newWorld(t, late, nil)
	w.issuer.Feed.Revoke("consent", resourcetest.ConsentID, w.clock.Now().Add(time.Hour))
	w.issuer.Feed.Set(resourcetest.Down)
	var said *reports
	late.Feed, said = follow(t, w, nil)
	eventually(t, 5*time.Second, "the refusal was reported", func() bool { return said.mention("503") })
	token := w.issuer.Token(w.tpp.Cert)
	_, err := w.verify(t, token)
	refused(t, err, 503, "temporarily_unavailable")
	w.issuer.Feed.Set(resourcetest.Streams)
	synced(t, late.Feed)
	_, err = w.verify(t, token)
	refused(t, err, 401, "invalid_token")
}

// beats waits until the reader of a stream has certainly read what was sent before:
// a later heartbeat has been written after it.
func beats(t *testing.T, w *world) {
	t.Helper()
	after := w.issuer.Feed.Beats.Load() + 5
	eventually(t, 5*time.Second, "some heartbeats", func() bool { return w.issuer.Feed.Beats.Load() > after })
}

// A feed that is down ages, and so does one that lives but hears nothing itself:
// its heartbeats repeat an old time. Both recover.
func TestSilenceFailsClosed(t *testing.T) {
	for name, mode := range map[string]resourcetest.FeedMode{"down": resourcetest.Down, "frozen": resourcetest.Frozen} {
		t.Run(name, func(t *testing.T) {
			w, feed := fed(t, nil)
			token := w.issuer.Token(w.tpp.Cert)
			_, err := w.verify(t, token)
			must(t, err)
			w.issuer.Feed.Set(mode)
			if mode == resourcetest.Down {
				before := w.issuer.Feed.Streams.Load()
				w.issuer.Feed.Drop()
				eventually(t, 5*time.Second, "refused", func() bool { return w.issuer.Feed.Streams.Load() > before })
			} else {
				beats(t, w)
			}
			w.clock.advance(6 * time.Second)
			if mode == resourcetest.Frozen {
				beats(t, w)
			}
			_, err = w.verify(t, token)
			refused(t, err, 503, "temporarily_unavailable")
			w.issuer.Feed.Set(resourcetest.Streams)
			eventually(t, 5*time.Second, "fresh again", func() bool { age, _ := feed.Age(); return age < time.Second })
			_, err = w.verify(t, token)
			must(t, err)
		})
	}
}

// Heartbeats before the mark say nothing: entries may be missing.
func TestHeartbeatsDoNotMakeThePictureComplete(t *testing.T) {
	late := &deferred{}
	w := newWorld(t, late, nil)
	w.issuer.Feed.Set(resourcetest.Unsynced)
	late.Feed, _ = follow(t, w, nil)
	beats(t, w)
	_, err := w.verify(t, w.issuer.Token(w.tpp.Cert))
	refused(t, err, 503, "temporarily_unavailable")
}

func TestReconnectsAndDropsWhatItKnows(t *testing.T) {
	w, feed := fed(t, nil)
	for n := range 10 {
		w.issuer.Feed.Revoke("grant", fmt.Sprint("grant-", n), w.clock.Now().Add(time.Hour))
	}
	for range 5 {
		before := w.issuer.Feed.Streams.Load()
		w.issuer.Feed.Drop()
		eventually(t, 5*time.Second, "reconnected", func() bool { return w.issuer.Feed.Streams.Load() > before })
	}
	eventually(t, 5*time.Second, "ten entries", func() bool { return feed.State().Entries == 10 })
	before := w.issuer.Feed.Streams.Load()
	w.issuer.Feed.Revoke("grant", "one more", w.clock.Now().Add(time.Hour))
	eventually(t, time.Second, "eleven entries", func() bool { return feed.State().Entries == 11 })
	if n := w.issuer.Feed.Streams.Load(); n != before {
		t.Errorf("%d connections for one more entry, want the one that stands", n-before)
	}
}

func TestPollsWhereStreamsDoNotPass(t *testing.T) {
	for name, mode := range map[string]resourcetest.FeedMode{"answered otherwise": resourcetest.NoStream, "held back": resourcetest.HoldsAll} {
		t.Run(name, func(t *testing.T) {
			late := &deferred{}
			w := newWorld(t, late, nil)
			w.issuer.Feed.Set(mode)
			late.Feed, _ = follow(t, w, func(c *resource.FeedConfig) { c.Stall = 200 * time.Millisecond })
			synced(t, late.Feed)
			if !late.Feed.State().Polling {
				t.Error("synced without polling")
			}
			token := w.issuer.Token(w.tpp.Cert)
			_, err := w.verify(t, token)
			must(t, err)
			w.issuer.Feed.Revoke("client", resourcetest.ClientID, w.clock.Now().Add(time.Hour))
			eventually(t, time.Second, "refused", func() bool { _, err = w.verify(t, token); return err != nil })
			refused(t, err, 401, "invalid_token")
		})
	}
}

func TestEntriesExpire(t *testing.T) {
	w, feed := fed(t, nil)
	w.issuer.Feed.Revoke("grant", "short", w.clock.Now().Add(time.Minute))
	w.issuer.Feed.Revoke("grant", "long", w.clock.Now().Add(time.Hour))
	eventually(t, time.Second, "two entries", func() bool { return feed.State().Entries == 2 })
	w.clock.advance(10 * time.Minute)
	eventually(t, 5*time.Second, "one entry", func() bool { return feed.State().Entries == 1 })
	if feed.Revoked(&resource.Token{GrantID: "short"}) || !feed.Revoked(&resource.Token{GrantID: "long"}) {
		t.Error("the wrong entry expired")
	}
}

// A token whose exp is a little past is still accepted, so its revocation must
// still be known.
func TestEntriesOutliveTheSkew(t *testing.T) {
	w, feed := fed(t, nil)
	w.issuer.Feed.Revoke("grant", resourcetest.GrantID, w.clock.Now().Add(-time.Second))
	eventually(t, time.Second, "the entry", func() bool { return feed.State().Entries == 1 })
}

// Memory is bounded, and a full memory believes nobody.
func TestTooManyEntriesFailClosed(t *testing.T) {
	late := &deferred{}
	w := newWorld(t, late, nil)
	var said *reports
	late.Feed, said = follow(t, w, func(c *resource.FeedConfig) { c.MaxEntries = 3 })
	synced(t, late.Feed)
	for n := range 4 {
		w.issuer.Feed.Revoke("grant", fmt.Sprint("grant-", n), w.clock.Now().Add(time.Minute))
	}
	eventually(t, 5*time.Second, "closed", func() bool { return said.mention("too many") && !late.Feed.State().Synced })
	_, err := w.verify(t, w.issuer.Token(w.tpp.Cert))
	refused(t, err, 503, "temporarily_unavailable")
	if n := late.Feed.State().Entries; n > 3 {
		t.Errorf("%d entries are kept, want 3 at most", n)
	}
	w.clock.advance(10 * time.Minute) // the entries expire: there is room again
	synced(t, late.Feed)
}

func TestMalformedLinesAreNoNews(t *testing.T) {
	for name, line := range map[string]string{
		"not JSON":     `{"id":`,
		"half entry":   `{"id":"x","kind":"grant","value":"","revoked":true,"exp":9999999999}`,
		"no id":        `{"kind":"grant","value":"x","revoked":true,"exp":9999999999}`,
		"no exp":       `{"id":"x","kind":"grant","value":"x","revoked":true}`,
		"endless line": `{"id":"x","kind":"grant","value":"` + strings.Repeat("x", 10<<10) + `","revoked":true,"exp":9999999999}`,
	} {
		t.Run(name, func(t *testing.T) {
			late := &deferred{}
			w := newWorld(t, late, nil)
			w.issuer.Feed.Add(line)
			var said *reports
			late.Feed, said = follow(t, w, nil)
			eventually(t, 5*time.Second, "three connections", func() bool { return w.issuer.Feed.Streams.Load() > 2 })
			if late.Feed.State().Synced || said.mention("status") {
				t.Errorf("synced although a line is unreadable: %+v", late.Feed.State())
			}
		})
	}
}

// The reader shows its certificate and follows nobody elsewhere.
func TestFeedFollowsNoRedirect(t *testing.T) {
	w := newWorld(t, nothingRevoked(), nil)
	elsewhere := resourcetest.Serve(t, w.issuer.CA, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		http.Redirect(rw, r, w.issuer.URL+"/revocations?"+r.URL.RawQuery, http.StatusTemporaryRedirect)
	}))
	_, said := follow(t, w, func(c *resource.FeedConfig) { c.URL = elsewhere + "/revocations" })
	eventually(t, 5*time.Second, "reported", func() bool { return said.mention("status 307") })
	if w.issuer.Feed.Streams.Load() != 0 {
		t.Error("the redirect was followed")
	}
}

func TestFeedConfigsThatAreRefused(t *testing.T) {
	deps := resource.FeedDeps{Client: &http.Client{}, Now: time.Now, Report: func(error) {}}
	good := resource.DefaultFeedConfig("https://issuer.example/revocations", "gateway")
	if _, err := resource.NewFeed(good, deps); err != nil {
		t.Fatal(err)
	}
	if _, err := resource.NewFeed(good, resource.FeedDeps{}); err == nil {
		t.Error("accepted without Deps")
	}
	for name, edit := range map[string]func(*resource.FeedConfig){
		"http":       func(c *resource.FeedConfig) { c.URL = "http://issuer.example/revocations" },
		"query":      func(c *resource.FeedConfig) { c.URL += "?a=b" },
		"no client":  func(c *resource.FeedConfig) { c.ClientID = "" },
		"no bound":   func(c *resource.FeedConfig) { c.MaxEntries = 0 },
		"no stall":   func(c *resource.FeedConfig) { c.Stall = 0 },
		"no wait":    func(c *resource.FeedConfig) { c.PollWait = 0 },
		"no backoff": func(c *resource.FeedConfig) { c.MinBackoff = 0 },
	} {
		cfg := good
		edit(&cfg)
		if _, err := resource.NewFeed(cfg, deps); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
