package sandbox

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"
)

// DefaultPortBase is the first port of the block when nobody says otherwise.
const DefaultPortBase = 9443

// Offsets into the block of ports.
const (
	offsetIssuer = iota
	offsetMTLS
	offsetResource
	offsetTPP // listened on by whoever plays the TPP, never by the sandbox
	offsetDirectory
	offsetOps
	offsetPKI
	offsetLogin
	blockSize
)

// ports is a block of ports on the loopback interface.
type ports struct{ base int }

func newPorts(base int) (ports, error) {
	if base < 1024 || base+blockSize > 65536 {
		return ports{}, fmt.Errorf("port base %d: the block of %d ports must lie between 1024 and 65535", base, blockSize)
	}
	return ports{base}, nil
}

func (p ports) number(offset int) string { return strconv.Itoa(p.base + offset) }

// listen is an address to listen on: loopback only, always.
func (p ports) listen(offset int) string { return "127.0.0.1:" + p.number(offset) }

// host is the public name of a listener.
func (p ports) host(offset int) string {
	switch offset {
	case offsetTPP, offsetOps, offsetPKI:
		return "127.0.0.1:" + p.number(offset)
	}
	return "localhost:" + p.number(offset)
}

// url is the public address of a listener.
func (p ports) url(offset int) string {
	if offset == offsetOps || offset == offsetPKI {
		return "http://" + p.host(offset)
	}
	return "https://" + p.host(offset)
}

// roles names what listens where, in the order of the block.
func (p ports) roles() map[int]string {
	return map[int]string{
		offsetIssuer: "the issuer", offsetMTLS: "the issuer over mutual TLS", offsetResource: "the gateway",
		offsetOps: "operations", offsetPKI: "the PKI", offsetLogin: "the bank's login application",
	}
}

// free refuses to start when a port is taken.
func (p ports) free(ctx context.Context) error {
	for offset := range blockSize {
		if _, ours := p.roles()[offset]; !ours {
			continue
		}
		l, err := p.open(ctx, offset)
		if err != nil {
			return err
		}
		if err := l.Close(); err != nil {
			return fmt.Errorf("trying port %s: %w", p.number(offset), err)
		}
	}
	return nil
}

// open listens at an offset; a port that is taken is named, with what for.
func (p ports) open(ctx context.Context, offset int) (net.Listener, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", p.listen(offset))
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("port %s, wanted for %s, is in use: stop what listens there or choose another block with --port-base",
			p.number(offset), p.roles()[offset])
	}
	if err != nil {
		return nil, fmt.Errorf("listening for %s: %w", p.roles()[offset], err)
	}
	return l, nil
}
