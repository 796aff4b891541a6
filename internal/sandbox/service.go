package sandbox

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"time"
)

// stopGrace is how long requests in flight may take when the sandbox stops.
const stopGrace = 3 * time.Second

// service is one of the sandbox's own listeners.
type service struct {
	name     string
	listener net.Listener
	handler  http.Handler
	tls      *tls.Config // nil: plain http
}

// run serves until ctx ends.
func (s *service) run(ctx context.Context) error {
	server := &http.Server{
		Handler: s.handler, TLSConfig: s.tls, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute,
		MaxHeaderBytes: 64 << 10, ErrorLog: log.New(io.Discard, "", 0), // handshakes that strangers break off
	}
	stopped := make(chan error, 1)
	go func() {
		<-ctx.Done()
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopGrace)
		defer cancel()
		if err := server.Shutdown(grace); err != nil {
			stopped <- server.Close()
			return
		}
		stopped <- nil
	}()
	err := s.serve(server)
	if !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving %s: %w", s.name, err)
	}
	return <-stopped
}

func (s *service) serve(server *http.Server) error {
	if s.tls == nil {
		return server.Serve(s.listener)
	}
	return server.ServeTLS(s.listener, "", "")
}

// pipe is a listener that exists in this process only: the bank's API behind the
// gateway can be reached in no other way, so that nobody forges the headers that
// it trusts.
type pipe struct {
	conns  chan net.Conn
	closed chan struct{}
}

func newPipe() *pipe { return &pipe{conns: make(chan net.Conn), closed: make(chan struct{})} }

// dial connects to whoever accepts.
func (p *pipe) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case p.conns <- there:
		return here, nil
	case <-p.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Accept implements net.Listener.
func (p *pipe) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener; it is called once, by the server.
func (p *pipe) Close() error {
	close(p.closed)
	return nil
}

// Addr implements net.Listener.
func (p *pipe) Addr() net.Addr { return pipeAddr{} }

type pipeAddr struct{}

// Network implements net.Addr.
func (pipeAddr) Network() string { return "pipe" }

// String implements net.Addr.
func (pipeAddr) String() string { return "pipe" }
