package obs

import (
	"errors"
	"fmt"
	"io"

	"github.com/rs/zerolog"
)

// Logger writes JSON lines. It is safe for concurrent use.
type Logger struct {
	out zerolog.Logger
}

// NewLogger writes lines of the given level and above to w; levels are debug,
// info, warn and error. Anything else is refused.
func NewLogger(w io.Writer, level string) (*Logger, error) {
	if w == nil {
		return nil, errors.New("a logger needs a writer")
	}
	var l zerolog.Level
	switch level {
	case "debug":
		l = zerolog.DebugLevel
	case "info":
		l = zerolog.InfoLevel
	case "warn":
		l = zerolog.WarnLevel
	case "error":
		l = zerolog.ErrorLevel
	default:
		return nil, fmt.Errorf("log level %q is not known; use debug, info, warn or error", level)
	}
	return &Logger{out: zerolog.New(zerolog.SyncWriter(w)).Level(l).With().Timestamp().Logger()}, nil
}

// Debug writes msg with alternating keys and values, scrubbed.
func (l *Logger) Debug(msg string, kv ...any) { line(l.out.Debug(), msg, kv) }

// Info writes msg with alternating keys and values, scrubbed.
func (l *Logger) Info(msg string, kv ...any) { line(l.out.Info(), msg, kv) }

// Warn writes msg with alternating keys and values, scrubbed.
func (l *Logger) Warn(msg string, kv ...any) { line(l.out.Warn(), msg, kv) }

// Error writes msg with alternating keys and values, scrubbed.
func (l *Logger) Error(msg string, kv ...any) { line(l.out.Error(), msg, kv) }

// Emit writes the one line of a request. A request that failed through our own
// fault is an error; one that was refused is not.
func (l *Logger) Emit(e *Event) {
	fields, fault := e.snapshot()
	out := l.out.Info()
	if fault {
		out = l.out.Error()
	}
	for _, f := range fields {
		out = out.Str(f.key, f.value)
	}
	out.Msg("request")
}

func line(e *zerolog.Event, msg string, kv []any) {
	for i := 0; i < len(kv); i += 2 {
		key := fmt.Sprint(kv[i])
		if i+1 == len(kv) {
			e = e.Str(key, "[no value]")
			break
		}
		e = field(e, key, kv[i+1])
	}
	e.Msg(scrub(msg))
}

// field keeps numbers and truth values as they are and scrubs all the rest.
func field(e *zerolog.Event, key string, v any) *zerolog.Event {
	switch v := v.(type) {
	case bool:
		return e.Bool(key, v)
	case int:
		return e.Int(key, v)
	case int64:
		return e.Int64(key, v)
	case error:
		return e.Str(key, causeText(v))
	default:
		return e.Str(key, value(fmt.Sprint(v)))
	}
}
