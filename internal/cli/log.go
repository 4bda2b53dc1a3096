package cli

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/rs/zerolog"
	"github.com/spf13/pflag"
)

// LogFlags are --log-level and --log-format. The zero value is ready for AddTo.
type LogFlags struct {
	level, format choice
}

// AddTo defines the flags.
func (l *LogFlags) AddTo(flags *pflag.FlagSet) {
	l.level = choice{value: "info", of: []string{"debug", "info", "warn", "error"}}
	l.format = choice{value: "auto", of: []string{"auto", "json", "console"}}
	flags.Var(&l.level, "log-level", "least `LEVEL` that is logged: "+l.level.list())
	flags.Var(&l.format, "log-format", "`FORMAT` of the log on standard error: "+l.format.list()+"; auto is console on a terminal and json elsewhere")
}

// Logger writes to w, which is a command's standard error. Colours appear on a
// terminal only, and never when NO_COLOR is set.
func (l *LogFlags) Logger(w io.Writer) zerolog.Logger {
	level, err := zerolog.ParseLevel(l.level.value)
	if err != nil || l.level.value == "" {
		level = zerolog.InfoLevel
	}
	terminal := IsTerminal(w)
	if l.format.value == "console" || l.format.value != "json" && terminal {
		w = zerolog.ConsoleWriter{Out: w, NoColor: !Colour(w), TimeFormat: time.TimeOnly}
	}
	return zerolog.New(zerolog.SyncWriter(w)).Level(level).With().Timestamp().Logger()
}

// IsTerminal says whether w is a terminal.
func IsTerminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && isatty.IsTerminal(f.Fd())
}

// Colour says whether w should be written to in colours.
func Colour(w io.Writer) bool {
	return IsTerminal(w) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

// choice is a flag value out of a list.
type choice struct {
	value string
	of    []string
}

func (c *choice) String() string { return c.value }
func (c *choice) Type() string   { return "string" }
func (c *choice) list() string   { return strings.Join(c.of, ", ") }

func (c *choice) Set(s string) error {
	for _, o := range c.of {
		if s == o {
			c.value = s
			return nil
		}
	}
	return fmt.Errorf("must be one of %s", c.list())
}

// Choice defines a flag that takes one of the given values, the first by default.
func Choice(flags *pflag.FlagSet, name, usage string, of ...string) *string {
	c := &choice{value: of[0], of: of}
	flags.Var(c, name, usage+": "+c.list())
	return &c.value
}
