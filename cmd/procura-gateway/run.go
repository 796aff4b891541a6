package main

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

	"golang.org/x/sync/errgroup"
)

// Limits of the listeners. Ours.
const (
	headerTimeout   = 5 * time.Second
	exchangeTimeout = 30 * time.Second
	idleTimeout     = 90 * time.Second
	maxHeader       = 64 << 10
)

// run reads revocations and serves until ctx ends, then lets the requests in
// flight finish.
func (g *gate) run(ctx context.Context) error {
	api, err := listen(ctx, g.conf.Listen.API)
	if err != nil {
		return err
	}
	defer api.Close()
	ops, err := listen(ctx, g.conf.Listen.Ops)
	if err != nil {
		return err
	}
	defer ops.Close()
	g.listening <- addresses{api.Addr().String(), ops.Addr().String()}
	g.log.Info("serving", "api", api.Addr().String(), "ops", ops.Addr().String())

	// Revocations are read until the last request is answered.
	reading, stopReading := context.WithCancel(context.WithoutCancel(ctx))
	defer stopReading()
	all, ctx := errgroup.WithContext(ctx)
	all.Go(func() error { return unlessDone(reading, g.feed.Run(reading)) })
	servers := []*http.Server{server(g.handler), server(g.ops())}
	for i, on := range []net.Listener{tls.NewListener(api, g.tls), ops} {
		all.Go(func() error { return serve(servers[i], on) })
	}
	all.Go(func() error {
		<-ctx.Done()
		defer stopReading()
		return g.drain(context.WithoutCancel(ctx), servers)
	})
	return all.Wait()
}

func listen(ctx context.Context, addr string) (net.Listener, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listening: %w", err)
	}
	return l, nil
}

func serve(s *http.Server, on net.Listener) error {
	if err := s.Serve(on); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving: %w", err)
	}
	return nil
}

func unlessDone(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// drain closes the listeners after the delay and waits for requests in flight.
func (g *gate) drain(ctx context.Context, servers []*http.Server) error {
	g.draining.Store(true)
	time.Sleep(g.conf.Shutdown.DrainDelay)
	ctx, cancel := context.WithTimeout(ctx, g.conf.Shutdown.Grace)
	defer cancel()
	var all error
	for _, s := range servers {
		if err := s.Shutdown(ctx); err != nil {
			all = errors.Join(all, fmt.Errorf("draining: %w", err))
		}
	}
	return all
}

// quiet drops what strangers cause by breaking off handshakes.
func quiet() *log.Logger { return log.New(io.Discard, "", 0) }
