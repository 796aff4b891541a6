package web

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/procura/procura/internal/obs"
)

// Server timeouts; ours. A streaming route lifts the read and write ones for
// itself.
const (
	readHeaderTimeout = 10 * time.Second
	readTimeout       = 30 * time.Second
	writeTimeout      = 30 * time.Second
	idleTimeout       = 90 * time.Second
	// maxHeaderBytes leaves room for an encrypted request object in the query.
	maxHeaderBytes = 64 << 10
)

// Server holds the three listeners.
type Server struct {
	cfg       Config
	deps      Deps
	handlers  [3]http.Handler
	addrs     Addrs
	listening chan struct{}
	draining  chan struct{} // closed when the server begins to drain
	down      atomic.Bool
	ran       atomic.Bool
}

// Addrs are the addresses that the listeners got.
type Addrs struct{ Public, MTLS, Ops string }

// New checks the configuration and builds the routing tables. It refuses missing
// parts, routes on no listener and issuers that are no plain https URLs.
func New(cfg Config, deps Deps) (*Server, error) {
	if err := errors.Join(cfg.check(), deps.check()); err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, deps: deps, listening: make(chan struct{}), draining: make(chan struct{})}
	public, err := s.pipeline(onPublic)
	if err != nil {
		return nil, err
	}
	mtls, err := s.pipeline(onMTLS)
	if err != nil {
		return nil, err
	}
	s.handlers = [3]http.Handler{public, mtls, s.ops()}
	return s, nil
}

// Listening is closed once all listeners accept connections.
func (s *Server) Listening() <-chan struct{} { return s.listening }

// Addrs returns the listeners' addresses; it may be called after Listening.
func (s *Server) Addrs() Addrs { return s.addrs }

// Run listens, serves until ctx ends, then drains: /readyz answers 503, nothing
// new is accepted, requests in flight have ShutdownGrace to finish. It returns an
// error when a listener fails or when requests had to be cut. It runs once.
func (s *Server) Run(ctx context.Context) error {
	if s.ran.Swap(true) {
		return errors.New("web: a server runs once")
	}
	listeners, err := s.listen(ctx)
	if err != nil {
		return err
	}
	servers := make([]*http.Server, len(listeners))
	group, failed := errgroup.WithContext(ctx)
	for i, l := range listeners {
		servers[i] = s.server(ctx, s.handlers[i])
		group.Go(func() error { return serving(servers[i].Serve(l)) })
	}
	close(s.listening)
	s.deps.Log.Info("listening", "public", s.addrs.Public, "mtls", s.addrs.MTLS, "ops", s.addrs.Ops)
	<-failed.Done()
	drained := s.drain(context.WithoutCancel(ctx), servers, ctx.Err() != nil)
	return errors.Join(group.Wait(), drained)
}

// serving turns the end of a listener that we asked for into no error.
func serving(err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serving: %w", err)
}

// listen binds all three addresses or none.
func (s *Server) listen(ctx context.Context) ([]net.Listener, error) {
	var bound []net.Listener
	var lc net.ListenConfig
	for _, l := range []Listener{s.cfg.Public, s.cfg.MTLS, s.cfg.Ops} {
		plain, err := lc.Listen(ctx, "tcp", l.Addr)
		if err != nil {
			for _, b := range bound {
				err = errors.Join(err, b.Close())
			}
			return nil, fmt.Errorf("listening on %s: %w", l.Addr, err)
		}
		if len(l.Certificates) > 0 {
			plain = tls.NewListener(plain, policy(l))
		}
		bound = append(bound, plain)
	}
	s.addrs = Addrs{bound[0].Addr().String(), bound[1].Addr().String(), bound[2].Addr().String()}
	return bound, nil
}

func (s *Server) server(ctx context.Context, h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          log.New(complaints{s.deps.Log}, "", 0),
		// Requests outlive the signal that ends the server: draining ends them.
		BaseContext: func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
	}
}

// drain ends the servers, the ops listener last: until then it says that the
// process is not ready.
func (s *Server) drain(ctx context.Context, servers []*http.Server, wait bool) error {
	s.down.Store(true)
	s.deps.Log.Info("draining")
	if wait && s.cfg.DrainDelay > 0 {
		for _, srv := range servers[:2] {
			srv.SetKeepAlivesEnabled(false)
		}
		pause(s.cfg.DrainDelay)
	}
	close(s.draining)
	ctx, cancel := context.WithTimeout(ctx, s.cfg.ShutdownGrace)
	defer cancel()
	var group errgroup.Group
	for _, srv := range servers[:2] {
		group.Go(func() error { return shut(ctx, srv) })
	}
	err := group.Wait()
	return errors.Join(err, shut(ctx, servers[2]))
}

// pause waits out the drain delay; nothing can shorten it.
func pause(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	<-t.C
}

func shut(ctx context.Context, srv *http.Server) error {
	if err := srv.Shutdown(ctx); err != nil {
		return errors.Join(fmt.Errorf("draining: requests were cut: %w", err), srv.Close())
	}
	return nil
}

// complaints takes what net/http says about connections. A handshake that failed
// is the peer's business and told only at level debug.
type complaints struct{ log *obs.Logger }

// Write implements io.Writer for log.Logger.
func (c complaints) Write(p []byte) (int, error) {
	text := strings.TrimSpace(string(p))
	if strings.Contains(text, "TLS handshake error") {
		c.log.Debug("connection", "detail", text)
	} else {
		c.log.Warn("connection", "detail", text)
	}
	return len(p), nil
}
