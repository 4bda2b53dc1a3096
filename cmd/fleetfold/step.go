package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"strconv"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/internal/logline"
	"github.com/fleetfold/fleetfold/pkg/audit"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// isScreen says that keys can be read from a terminal and pages drawn on one.
func isScreen(cmd *cobra.Command) bool {
	in, isFile := cmd.InOrStdin().(*os.File)
	return isFile && term.IsTerminal(int(in.Fd())) && cli.IsTerminal(cmd.OutOrStdout())
}

// stepThrough shows a history decision by decision until q.
func stepThrough(cmd *cobra.Command, history audit.Source, change audit.Change) error {
	in, out := cmd.InOrStdin().(*os.File), cmd.OutOrStdout().(*os.File)
	s := newStepper(func() iter.Seq2[frame, error] { return frames(cmd.Context(), history, change) })
	defer s.close()
	before, err := term.MakeRaw(int(in.Fd()))
	if err != nil {
		return fmt.Errorf("read keys one by one: %w", err)
	}
	defer func() { _ = term.Restore(int(in.Fd()), before) }() // what the shell does, too
	fmt.Fprint(out, enterPage)
	defer fmt.Fprint(out, leavePage)
	keys := make(chan byte)
	go readKeys(in, keys)
	size := func() (int, int) {
		width, height, err := term.GetSize(int(out.Fd()))
		if err != nil {
			return 80, 24
		}
		return width, height
	}
	return s.run(cmd.Context(), keys, out, size)
}

// The pages are drawn on the terminal's other screen, so that what stood there
// before is there again afterwards.
const (
	enterPage = "\x1b[?1049h\x1b[?25l"
	leavePage = "\x1b[?25h\x1b[?1049l"
	clearPage = "\x1b[H\x1b[2J"
)

// readKeys ends with the input, or with the program.
func readKeys(in io.Reader, keys chan<- byte) {
	defer close(keys)
	var b [1]byte
	for {
		if _, err := in.Read(b[:]); err != nil {
			return
		}
		keys <- b[0]
	}
}

// frame is what is shown of one decision.
type frame struct {
	// Number counts the decisions from 1.
	Number int
	audit.Point
	Nodes, Present, Signing, Outstanding int
	Strict                               bool
	// Lines of the log between the decision before and the basis of this one: the
	// last of them, of Since in all.
	Lines []string
	Since int
}

// linesKept is how many lines of the log are kept for a page.
const linesKept = 12

// frames makes a frame of each decision.
func frames(ctx context.Context, history audit.Source, change audit.Change) iter.Seq2[frame, error] {
	return func(yield func(frame, error) bool) {
		var next frame
		var columns logline.Columns
		_, err := audit.Replay(ctx, history, change, audit.Show{
			Record: func(_ *projection.State, r eventlog.Record) error {
				columns.See([]eventlog.Record{r})
				next.Since++
				next.Lines = append(next.Lines, columns.Text(r))
				next.Lines = next.Lines[max(0, len(next.Lines)-linesKept):]
				return nil
			},
			Point: func(st *projection.State, p audit.Point) error {
				f := next
				f.Number, f.Point, f.Nodes = next.Number+1, p, len(st.Observed().Nodes)
				f.Present, f.Signing = st.Observed().Counts()
				f.Outstanding, f.Strict = st.Ledger().Outstanding(), st.StrictEnforced()
				next = frame{Number: f.Number}
				if !yield(f, nil) {
					return errStepEnd
				}
				return nil
			},
		})
		if err != nil && !errors.Is(err, errStepEnd) {
			yield(frame{}, err)
		}
	}
}

var errStepEnd = errors.New("nobody steps on")

// stepper goes to and fro in frames that can only be made forward. It keeps the
// newest few, and begins anew for those before.
type stepper struct {
	begin func() iter.Seq2[frame, error]
	pull  func() (frame, error, bool)
	stop  func()
	kept  []frame
	at    int // number of the frame that is shown; 0: none yet
	note  string
	goTo  []byte // digits that were typed after g; nil: g was not pressed
}

// framesKept bounds what going back costs nothing for.
const framesKept = 256

func newStepper(begin func() iter.Seq2[frame, error]) *stepper {
	s := &stepper{begin: begin}
	s.restart()
	return s
}

func (s *stepper) restart() {
	s.close()
	s.pull, s.stop = iter.Pull2(s.begin())
	s.kept = nil
}

func (s *stepper) close() {
	if s.stop != nil {
		s.stop()
	}
}

// run draws the first frame, and another one for each key, until q.
func (s *stepper) run(ctx context.Context, keys <-chan byte, out io.Writer, size func() (width, height int)) error {
	if _, err := s.show(1); err != nil {
		return err
	}
	for {
		width, height := size()
		f, _ := s.frame(s.at)
		page := stepPage(f, s.status(), width, height)
		if _, err := io.WriteString(out, clearPage+page); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case key, ok := <-keys:
			if !ok {
				return nil
			}
			quit, err := s.press(key)
			if quit || err != nil {
				return err
			}
		}
	}
}

// press does what a key stands for.
func (s *stepper) press(key byte) (quit bool, err error) {
	s.note = ""
	if s.goTo != nil {
		return false, s.typed(key)
	}
	const interrupt, enter = 3, '\r'
	switch key {
	case 'q', interrupt:
		return true, nil
	case 'n', ' ', enter:
		_, err = s.show(s.at + 1)
	case 'p':
		_, err = s.show(s.at - 1)
	case 'g':
		s.goTo = []byte{}
	}
	return false, err
}

// typed takes a digit of a sequence to go to, or goes there.
func (s *stepper) typed(key byte) error {
	const enter, erase, back = '\r', 0x7f, 8
	switch {
	case key >= '0' && key <= '9':
		s.goTo = append(s.goTo, key)
	case (key == erase || key == back) && len(s.goTo) > 0:
		s.goTo = s.goTo[:len(s.goTo)-1]
	case key == enter:
		sequence, err := strconv.ParseUint(string(s.goTo), 10, 64)
		s.goTo = nil
		if err == nil {
			return s.showFrom(sequence)
		}
	case key < '0' || key > '9':
		s.goTo = nil
	}
	return nil
}

// show goes to a frame by its number; false where there is none.
func (s *stepper) show(number int) (bool, error) {
	if number < 1 {
		if s.at > 0 {
			s.note = "this is the first decision"
		}
		return false, nil
	}
	if len(s.kept) > 0 && number < s.kept[0].Number {
		s.restart()
	}
	for {
		if _, ok := s.frame(number); ok {
			s.at = number
			return true, nil
		}
		if more, err := s.more(); err != nil || !more {
			s.note = "this is the last decision"
			return false, err
		}
	}
}

// showFrom goes to the first decision that stands at a sequence or behind it, or
// to the last one.
func (s *stepper) showFrom(sequence uint64) error {
	if f, ok := s.frame(s.at); ok && sequence < f.Sequence {
		s.restart()
	}
	number := 1
	for _, f := range s.kept {
		if f.Sequence < sequence {
			number = f.Number + 1
		}
	}
	for {
		found, err := s.show(number)
		if err != nil || !found {
			if last := len(s.kept); err == nil && last > 0 {
				s.at = s.kept[last-1].Number
			}
			return err
		}
		if f, _ := s.frame(number); f.Sequence >= sequence {
			return nil
		}
		number++
	}
}

// more makes the next frame.
func (s *stepper) more() (bool, error) {
	f, err, ok := s.pull()
	if err != nil || !ok {
		return false, err
	}
	s.kept = append(s.kept, f)
	s.kept = s.kept[max(0, len(s.kept)-framesKept):]
	return true, nil
}

func (s *stepper) frame(number int) (frame, bool) {
	if len(s.kept) == 0 || number < s.kept[0].Number || number > s.kept[len(s.kept)-1].Number {
		return frame{}, false
	}
	return s.kept[number-s.kept[0].Number], true
}

func (s *stepper) status() string {
	if s.goTo != nil {
		return "go to sequence: " + string(s.goTo)
	}
	keys := "n next  p previous  g go to a sequence  q quit"
	if s.note != "" {
		return keys + "  (" + s.note + ")"
	}
	return keys
}
