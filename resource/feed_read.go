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
// sent, or a heartbeat, which has neither id nor mark.
type line struct {
	entry
	Synced bool `json:"synced"`
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
	lines := bufio.NewScanner(body)
	lines.Buffer(make([]byte, 0, 1024), maxLine)
	for lines.Scan() {
		watchdog.Reset(f.cfg.Stall)
		mark, err := f.take(lines.Bytes())
		if err != nil {
			return progress, err
		}
		if progress = progress || mark; progress {
			f.hear()
		}
	}
	if err := lines.Err(); err != nil {
		return progress, because(ctx, fmt.Errorf("reading the stream: %w", err))
	}
	return progress, errEnded
}

// because prefers the reason for which we gave up to the error it shows as.
func because(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

func (f *Feed) take(raw []byte) (mark bool, err error) {
	if len(raw) == 0 {
		return false, nil
	}
	var l line
	if err := json.Unmarshal(raw, &l); err != nil {
		return false, fmt.Errorf("parsing a line of the feed: %w", err)
	}
	if l.ID == "" && l.Kind == "" {
		return l.Synced, nil
	}
	return l.Synced, f.set.add(l.entry, f.deps.Now())
}

// poll asks again and again; each answer completes the picture.
func (f *Feed) poll(ctx context.Context) (progress bool, err error) {
	for cursor := ""; ; progress = true {
		if cursor, err = f.pollOnce(ctx, cursor); err != nil {
			return progress, err
		}
		f.hear()
	}
}

func (f *Feed) pollOnce(ctx context.Context, cursor string) (string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, f.cfg.PollWait+f.cfg.Stall, errStalled)
	defer cancel()
	body, err := f.get(ctx, mediaJSON, map[string]string{
		"cursor": cursor, "wait": strconv.Itoa(int(f.cfg.PollWait / time.Second))})
	if err != nil {
		return "", because(ctx, err)
	}
	defer body.Close()
	var answer struct {
		Changes []entry `json:"changes"`
		Cursor  string  `json:"cursor"`
	}
	if err := json.NewDecoder(io.LimitReader(body, maxAnswer)).Decode(&answer); err != nil {
		return "", because(ctx, fmt.Errorf("parsing an answer of the feed: %w", err))
	}
	if answer.Cursor == "" || len(answer.Cursor) > maxCursor {
		return "", errors.New("the answer of the feed has no usable cursor")
	}
	for _, e := range answer.Changes {
		if err := f.set.add(e, f.deps.Now()); err != nil {
			return "", err
		}
	}
	return answer.Cursor, nil
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
		res.Body.Close()
		return nil, err
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
