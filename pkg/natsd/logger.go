package natsd

import (
	"fmt"

	"github.com/rs/zerolog"
)

// logger hands the server's lines on. The server ends its process after a fatal
// line when it runs on its own; here the line becomes Start's error.
type logger struct {
	log   zerolog.Logger
	fatal chan<- string
}

const message = "nats server"

func line(format string, v []any) string { return fmt.Sprintf(format, v...) }

func (l *logger) Noticef(format string, v ...any) {
	l.log.Debug().Str("text", line(format, v)).Msg(message)
}
func (l *logger) Debugf(format string, v ...any) {
	l.log.Trace().Str("text", line(format, v)).Msg(message)
}
func (l *logger) Tracef(format string, v ...any) {
	l.log.Trace().Str("text", line(format, v)).Msg(message)
}
func (l *logger) Warnf(format string, v ...any) {
	l.log.Warn().Str("text", line(format, v)).Msg(message)
}
func (l *logger) Errorf(format string, v ...any) {
	l.log.Error().Str("text", line(format, v)).Msg(message)
}

func (l *logger) Fatalf(format string, v ...any) {
	text := line(format, v)
	select {
	case l.fatal <- text:
	default: // the first one says it
	}
	l.log.Error().Str("text", text).Msg(message)
}
