package natsd

import (
	"strings"

	"github.com/rs/zerolog"

	"github.com/fleetfold/fleetfold/pkg/buslog"
)

// logger hands the server's lines on. The server ends its process after a fatal
// line when it runs on its own; here the line becomes Start's error.
type logger struct {
	log     zerolog.Logger
	fatal   chan<- string
	refused func(buslog.Refusal)
}

const message = "nats server"

// maxLine bounds what is logged of a line: clients choose much of some.
const maxLine = 4 << 10

func say(e *zerolog.Event, text string) {
	if len(text) > maxLine {
		text = strings.ToValidUTF8(text[:maxLine], "") + "…"
	}
	e.Str("text", text).Msg(message)
}

func (l *logger) Noticef(format string, v ...any) { say(l.log.Debug(), buslog.Text(format, v)) }
func (l *logger) Debugf(format string, v ...any)  { say(l.log.Trace(), buslog.Text(format, v)) }
func (l *logger) Tracef(format string, v ...any)  { say(l.log.Trace(), buslog.Text(format, v)) }
func (l *logger) Warnf(format string, v ...any)   { say(l.log.Warn(), buslog.Text(format, v)) }

func (l *logger) Errorf(format string, v ...any) {
	text := buslog.Text(format, v)
	if l.refused != nil {
		if r, ok := buslog.Parse(text); ok {
			l.refused(r)
			say(l.log.Debug(), text)
			return
		}
	}
	say(l.log.Error(), text)
}

func (l *logger) Fatalf(format string, v ...any) {
	text := buslog.Text(format, v)
	select {
	case l.fatal <- text:
	default: // the first one says it
	}
	say(l.log.Error(), text)
}
