package token_test

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/resource"
	"github.com/procura/procura/token"
)

func TestFeedStreams(t *testing.T) {
	r := newFeedRig(t, nil)
	now := r.clock.Now()
	grant := r.store.commit(fapi.ChangeGrant, "g1", true, now.Add(-time.Minute))
	r.store.commit(fapi.ChangeClient, "changed", false, now)
	r.store.commit(fapi.ChangeKeys, issuer.URL, true, now)
	r.store.commit(fapi.ChangeToken, "expired", true, now.Add(-time.Hour))
	r.store.commit(fapi.ChangeClient, "gone", true, now)
	r.run()
	s := r.open()
	first := s.until(isSynced)
	if got := values(first); !slices.Equal(got, []string{"grant g1", "client gone"}) {
		t.Errorf("told first: %v", got)
	}
	if l := first[0]; l.ID != grant.ID || !l.Revoked || l.At != grant.CreatedAt.Unix() || l.Exp < grant.ExpiresAt.Unix() {
		t.Errorf("the entry is %+v", l)
	}
	for _, value := range []string{"c1", "c2"} {
		r.store.commit(fapi.ChangeConsent, value, true, r.clock.Now())
		if got := values(s.until(func(l line) bool { return l.Value == value })); len(got) != 1 {
			t.Errorf("told then: %v", got)
		}
	}
	s.until(isHeartbeat)
}

// A heartbeat says that everything is known: without database there is none.
func TestFeedFallsSilentWithTheDatabase(t *testing.T) {
	r := newFeedRig(t, nil)
	r.run()
	s := r.open()
	s.until(isHeartbeat)
	r.store.cut(true)
	marker := r.store.commit(fapi.ChangeGrant, "during", true, r.clock.Now())
	time.AfterFunc(400*time.Millisecond, func() { r.store.cut(false) }) // 40 heartbeats
	beats := 0
	for _, l := range s.until(func(l line) bool { return l.ID == marker.ID }) {
		if isHeartbeat(l) {
			beats++
		}
	}
	if beats > 15 { // some were under way when the database went
		t.Errorf("%d heartbeats while the database was away", beats)
	}
}

// get asks once, as bank unless the query says otherwise.
func (r *feedRig) get(certOf, query, accept string) reply {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, r.mtls.URL+"/revocations?"+query, nil)
	must(r.t, err)
	req.Header.Set("Accept", accept)
	return r.send(r.as(certOf), req)
}

func (r *feedRig) poll(query string) reply {
	r.t.Helper()
	got := r.get(bank, "client_id="+bank+"&"+query, "application/json")
	if got.status != http.StatusOK || got.body["cursor"] == "" || got.header.Get("Cache-Control") != "no-store" {
		r.t.Fatalf("got %d %s", got.status, got.raw)
	}
	return got
}

func polled(got reply) []string {
	var out []string
	entries, _ := got.body["changes"].([]any)
	for _, e := range entries {
		members, _ := e.(map[string]any)
		value, _ := members["value"].(string)
		out = append(out, value)
	}
	return out
}

func TestFeedPolls(t *testing.T) {
	r := newFeedRig(t, nil)
	r.store.commit(fapi.ChangeGrant, "g1", true, r.clock.Now())
	r.run()
	first := r.poll("wait=20") // without a cursor it answers at once
	if got := polled(first); !slices.Equal(got, []string{"g1"}) {
		t.Errorf("told first: %v", got)
	}
	cursor, _ := first.body["cursor"].(string)
	time.AfterFunc(20*time.Millisecond, func() {
		r.store.commit(fapi.ChangeClient, "noise", false, r.clock.Now())
		r.store.commit(fapi.ChangeGrant, "g2", true, r.clock.Now())
	})
	second := r.poll("wait=20&cursor=" + url.QueryEscape(cursor))
	if got := polled(second); !slices.Equal(got, []string{"g2"}) {
		t.Errorf("told then: %v", got)
	}
	cursor, _ = second.body["cursor"].(string)
	if got := r.poll("wait=0&cursor=" + url.QueryEscape(cursor)); len(polled(got)) != 0 || got.raw[:12] != `{"changes":[` {
		t.Errorf("nothing new, but %s", got.raw)
	}
	for _, foreign := range []string{"another.7", "garbage", cursor + "x"} {
		if got := polled(r.poll("wait=20&cursor=" + url.QueryEscape(foreign))); len(got) != 2 {
			t.Errorf("with cursor %q: %v", foreign, got)
		}
	}
}

func TestFeedRefuses(t *testing.T) {
	r := newFeedRig(t, nil)
	r.keys[branch] = r.keys[keyed]
	assertion := r.assertion(keyed, "j").Encode()
	for _, accept := range []string{"application/x-ndjson", "application/json"} {
		if got := r.get(bank, "client_id="+bank, accept); got.status != http.StatusServiceUnavailable {
			t.Errorf("before the first look: %d %s", got.status, got.raw)
		}
	}
	r.run()
	for _, c := range []struct {
		name, certOf, query string
		status              int
		code                string
	}{
		{"no certificate", "", "client_id=" + bank, 401, "invalid_client"},
		{"no client_id (MT-01)", bank, "", 401, "invalid_client"},
		{"another's certificate (MT-02)", stranger, "client_id=" + bank, 401, "invalid_client"},
		{"a client that is no resource server", tpp, "client_id=" + tpp, 400, "unauthorized_client"},
		{"a client with a key", keyed, "client_id=" + keyed, 401, "invalid_client"},
		{"an assertion in the query (G-09)", "", assertion, 400, "invalid_request"},
		{"client_id twice (G-03)", bank, "client_id=" + bank + "&client_id=" + tpp, 400, "invalid_request"},
		{"a wait that is no number", bank, "client_id=" + bank + "&wait=-1", 400, "invalid_request"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r.t = t
			if got := r.get(c.certOf, c.query, "application/json"); got.status != c.status || got.body["error"] != c.code {
				t.Errorf("got %d %s, want %d %s", got.status, got.raw, c.status, c.code)
			}
		})
	}
}

// A hub that could not read the database for a while is not to be believed.
func TestFeedRefusesWhatIsOld(t *testing.T) {
	r := newFeedRig(t, nil)
	r.run()
	r.store.cut(true)
	r.clock.Advance(time.Minute)
	for _, accept := range []string{"application/x-ndjson", "application/json"} {
		if got := r.get(bank, "client_id="+bank, accept); got.status != http.StatusServiceUnavailable || got.body["error"] == nil {
			t.Errorf("%s: %d %s", accept, got.status, got.raw)
		}
	}
}

func TestFeedBoundsReaders(t *testing.T) {
	r := newFeedRig(t, func(c *token.FeedConfig) { c.MaxReaders = 2 })
	r.run()
	one, two := r.open(), r.open()
	one.until(isSynced)
	two.until(isSynced)
	if got := r.get(bank, "client_id="+bank, "application/json"); got.status != http.StatusTooManyRequests {
		t.Errorf("a third reader gets %d %s", got.status, got.raw)
	}
	if got := r.get(branch, "client_id="+branch, "application/json"); got.status != http.StatusOK {
		t.Errorf("another client pays for it: %d %s", got.status, got.raw)
	}
	must(t, one.body.Close())
	for deadline := time.Now().Add(patient); ; { // until the server has noticed
		got := r.get(bank, "client_id="+bank, "application/json")
		if got.status == http.StatusOK {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the place stays taken: %d", got.status)
		}
	}
}

// ends fails unless the stream ends by itself.
func (s *stream) ends() {
	s.t.Helper()
	for s.in.Scan() {
	}
	if err := s.in.Err(); err != nil {
		s.t.Errorf("the stream broke: %v", err)
	}
}

func TestFeedStreamsEnd(t *testing.T) {
	t.Run("at shutdown", func(t *testing.T) {
		r := newFeedRig(t, nil)
		r.run()
		s := r.open()
		s.until(isSynced)
		r.stopHub()
		s.ends()
	})
	t.Run("after their time", func(t *testing.T) {
		r := newFeedRig(t, func(c *token.FeedConfig) { c.StreamLife = 30 * time.Millisecond })
		r.run()
		r.open().ends()
	})
	t.Run("when the reader is disabled", func(t *testing.T) {
		r := newFeedRig(t, nil)
		r.store.commit(fapi.ChangeClient, bank, true, r.clock.Now()) // and enabled again
		r.run()
		s := r.open()
		s.until(isHeartbeat)
		r.store.commit(fapi.ChangeClient, bank, true, r.clock.Now())
		s.ends()
	})
	t.Run("polls at shutdown", func(t *testing.T) {
		r := newFeedRig(t, nil)
		r.run()
		cursor, _ := r.poll("").body["cursor"].(string)
		time.AfterFunc(20*time.Millisecond, r.stopHub)
		r.poll("wait=20&cursor=" + url.QueryEscape(cursor))
	})
}

// The public library reads what we write, by stream and by poll.
func TestResourceLibraryReadsTheFeed(t *testing.T) {
	r := newFeedRig(t, nil)
	r.store.commit(fapi.ChangeGrant, "g1", true, r.clock.Now())
	r.run()
	feed, err := resource.NewFeed(resource.DefaultFeedConfig(r.mtls.URL+"/revocations", bank), resource.FeedDeps{
		Client: r.as(bank), Now: r.clock.Now, Report: func(error) {}})
	must(t, err)
	ctx, stop := context.WithCancel(t.Context())
	var done sync.WaitGroup
	done.Go(func() { _ = feed.Run(ctx) })
	t.Cleanup(func() { stop(); done.Wait() })
	r.eventually(func() bool { _, synced := feed.Age(); return synced })
	for grant, dead := range map[string]bool{"g1": true, "g2": false} {
		if feed.Revoked(&resource.Token{ID: "t", GrantID: grant, ClientID: tpp}) != dead {
			t.Errorf("grant %s: revoked is not %v", grant, dead)
		}
	}
	r.store.commit(fapi.ChangeToken, "t", true, r.clock.Now())
	r.eventually(func() bool { return feed.Revoked(&resource.Token{ID: "t", GrantID: "g2", ClientID: tpp}) })
}

func (r *rig) eventually(is func() bool) {
	r.t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(patient); !is(); {
		select {
		case <-tick.C:
		case <-deadline:
			r.t.Fatal("it never came")
		}
	}
}

func TestNewFeedRefuses(t *testing.T) {
	if _, err := token.NewFeed(token.DefaultFeedConfig(), token.FeedDeps{}); err == nil {
		t.Error("missing parts are not refused")
	}
	r := newFeedRig(t, nil)
	if _, err := token.NewFeed(token.FeedConfig{}, token.FeedDeps{Clients: r.auth, Hub: r.hub, Now: r.clock.Now}); err == nil {
		t.Error("a zero configuration is not refused")
	}
}
