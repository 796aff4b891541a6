package resource

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"time"

	"github.com/procura/procura/internal/jose"
)

// Limits on what is read from the issuer. Ours.
const (
	maxLine   = 8 << 10
	maxAnswer = 64 << 20 // a poll without cursor holds every live entry
	maxCursor = 1 << 10
)

const (
	mediaStream = "application/x-ndjson"
	mediaJSON   = "application/json"
)

var (
	errNoStream = errors.New("the issuer offers no stream here")
	errStalled  = errors.New("the issuer fell silent")
	errEnded    = errors.New("the issuer closed the stream")
)

// line is one line of the stream: an entry, the mark that all entries alive were
// sent, or a heartbeat. The latter two say as of when everything was told.
type line struct {
	entry
	Synced bool             `json:"synced"`
	At     jose.NumericDate `json:"at"`
}

func (l *line) isEntry() bool { return l.ID != "" || l.Kind != "" }

// picture follows one connection. It is complete from the mark on, and fresh each
// time the issuer's "as of" moves on: a server that lives but has lost its own
// source repeats an old one, which is not news. Comparing the issuer's times only
// with each other leaves the difference between our clocks out of it.
type picture struct {
	complete bool
	asOf     jose.NumericDate
}

func (p *picture) advance(synced bool, at jose.NumericDate) (news bool) {
	p.complete = p.complete || synced
	news = p.complete && at > p.asOf
	p.asOf = max(p.asOf, at)
	return news
}

// stream reads lines until the connection ends. Before the mark the picture is
// incomplete and nothing counts as heard.
func (f *Feed) stream(ctx context.Context) (progress bool, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watchdog := time.AfterFunc(f.cfg.Stall, func() { cancel(errStalled) })
	defer watchdog.Stop()
	body, err := f.get(ctx, mediaStream, nil)
	if err != nil {
		return false, because(ctx, err)
	}
	defer body.Close()
	var seen picture
	lines := bufio.NewScanner(body)
	lines.Buffer(make([]byte, 0, 1024), maxLine)
	for lines.Scan() {
		watchdog.Reset(f.cfg.Stall)
		if err := f.take(lines.Bytes(), &seen); err != nil {
			return seen.complete, err
		}
	}
	if err := lines.Err(); err != nil {
		return seen.complete, because(ctx, fmt.Errorf("reading the stream: %w", err))
	}
	return seen.complete, errEnded
}

// because prefers the reason for which we gave up to the error it shows as.
func because(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

func (f *Feed) take(raw []byte, seen *picture) error {
	if len(raw) == 0 {
		return nil
	}
	var l line
	if err := json.Unmarshal(raw, &l); err != nil {
		return fmt.Errorf("parsing a line of the feed: %w", err)
	}
	if l.isEntry() {
		return f.set.add(l.entry, f.deps.Now())
	}
	if seen.advance(l.Synced, l.At) {
		f.hear()
	}
	return nil
}

// answer is what a poll brings.
type answer struct {
	Changes []entry          `json:"changes"`
	Cursor  string           `json:"cursor"`
	At      jose.NumericDate `json:"at"`
}

// poll asks again and again; each answer completes the picture.
func (f *Feed) poll(ctx context.Context) (progress bool, err error) {
	var seen picture
	for cursor := ""; ; {
		a, err := f.pollOnce(ctx, cursor)
		if err != nil {
			return seen.complete, err
		}
		for _, e := range a.Changes {
			if err := f.set.add(e, f.deps.Now()); err != nil {
				return seen.complete, err
			}
		}
		if cursor = a.Cursor; seen.advance(true, a.At) {
			f.hear()
		}
		// A server that does not wait as asked is not hammered.
		if err := pause(ctx, f.cfg.MinBackoff); err != nil {
			return seen.complete, err
		}
	}
}

func (f *Feed) pollOnce(ctx context.Context, cursor string) (*answer, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, f.cfg.PollWait+f.cfg.Stall, errStalled)
	defer cancel()
	body, err := f.get(ctx, mediaJSON, map[string]string{
		"cursor": cursor, "wait": strconv.Itoa(int(f.cfg.PollWait / time.Second))})
	if err != nil {
		return nil, because(ctx, err)
	}
	defer body.Close()
	var a answer
	if err := json.NewDecoder(io.LimitReader(body, maxAnswer)).Decode(&a); err != nil {
		return nil, because(ctx, fmt.Errorf("parsing an answer of the feed: %w", err))
	}
	if a.Cursor == "" || len(a.Cursor) > maxCursor {
		return nil, errors.New("the answer of the feed has no usable cursor")
	}
	return &a, nil
}

// get sends one request and returns the body of an answer of the wanted type.
func (f *Feed) get(ctx context.Context, accept string, params map[string]string) (io.ReadCloser, error) {
	u := *f.base
	q := u.Query()
	q.Set("client_id", f.cfg.ClientID)
	for name, value := range params {
		if value != "" {
			q.Set(name, value)
		}
	}
	u.RawQuery = q.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("asking for revocations: %w", err)
	}
	req.Header.Set("Accept", accept)
	res, err := f.deps.Client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("asking for revocations: %w", err)
	}
	if err := usable(res, accept); err != nil {
		return nil, errors.Join(err, res.Body.Close())
	}
	return res.Body, nil
}

func usable(res *http.Response, accept string) error {
	media, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	switch {
	case res.StatusCode == http.StatusNotAcceptable && accept == mediaStream:
		return errNoStream
	case res.StatusCode != http.StatusOK:
		return fmt.Errorf("asking for revocations: status %d", res.StatusCode)
	case media == accept:
		return nil
	case accept == mediaStream && media == mediaJSON:
		return errNoStream
	}
	return errors.New("asking for revocations: an answer of another type")
}
