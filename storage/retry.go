package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/procura/procura/internal/fapi"
)

// Bounds of a retry; every try stays within the caller's deadline.
const (
	maxTries  = 5
	firstWait = 5 * time.Millisecond
	longWait  = 200 * time.Millisecond
)

// SQLSTATE values that are acted upon (PostgreSQL appendix A).
const (
	codeSerialization   = "40001"
	codeDeadlock        = "40P01"
	codeReadOnly        = "25006"
	codeUniqueViolation = "23505"
	codeUndefinedTable  = "42P01"
	codeStarting        = "57P03"
	codeLockTimeout     = "55P03"
	codeDivisionByZero  = "22012"
)

// retry runs one act, at most five times: again after a serialization failure or
// a deadlock, when nothing was committed, and when the statement was certainly
// never sent. A connection lost in between is not retried: the act may have been
// done, and its caller must not be told twice.
func (db *DB) retry(ctx context.Context, act string, try func() error) error {
	wait := firstWait
	for n := 1; ; n++ {
		err := try()
		if err == nil || errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		if n == maxTries || !mayRetry(err) || !sleep(ctx, wait) {
			return classify(act, err)
		}
		if sqlState(err) == codeReadOnly {
			db.pool.Reset() // an old primary: every pooled connection leads to it
		}
		wait = min(4*wait, longWait)
	}
}

// sleep waits for about d and reports false when ctx ended before.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d/2 + rand.N(d))
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func mayRetry(err error) bool {
	switch sqlState(err) {
	case codeSerialization, codeDeadlock, codeReadOnly, codeStarting:
		return true
	}
	return pgconn.SafeToRetry(err)
}

func sqlState(err error) string {
	var pe *pgconn.PgError
	if errors.As(err, &pe) {
		return pe.Code
	}
	return ""
}

func isUndefinedTable(err error) bool { return sqlState(err) == codeUndefinedTable }

// classify wraps err with the act and the sentinel that fits: ErrUnavailable for
// trouble that passes, ErrConflict for a key that exists already.
func classify(act string, err error) error {
	switch {
	case unavailable(err):
		return fmt.Errorf("%s: %w: %w", act, fapi.ErrUnavailable, err)
	case sqlState(err) == codeUniqueViolation:
		return fmt.Errorf("%s: %w: %w", act, fapi.ErrConflict, err)
	}
	return fmt.Errorf("%s: %w", act, err)
}

// passing lists the SQLSTATE classes of trouble that passes: connection, resources,
// operator intervention; and rollbacks that outlasted the retries.
var passing = []string{"08", "53", "57", "40"}

func unavailable(err error) bool {
	if code := sqlState(err); code != "" {
		return slices.Contains(passing, code[:2]) || code == codeLockTimeout || code == codeReadOnly
	}
	var ne net.Error
	var ce *pgconn.ConnectError
	return errors.As(err, &ne) || errors.As(err, &ce) || pgconn.SafeToRetry(err) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, context.DeadlineExceeded) ||
		strings.HasSuffix(err.Error(), "conn closed")
}
