package listing

import (
	"fmt"
	"io"
	"reflect"

	"github.com/fleetfold/fleetfold/internal/cli"
)

// Watched shows a list again and again: on a terminal the whole table anew, into
// a file or pipe what has changed.
type Watched[T any] struct {
	Out     io.Writer
	Format  Format
	Columns []Column[T]
	// Key names an item for as long as it is there.
	Key func(T) string
	// Title is the line above a table on a terminal.
	Title func() string

	known   []T
	widths  []int
	written bool
}

// Event is a line of jsonl.
type Event[T any] struct {
	// Change is added, changed or removed.
	Change string `json:"change"`
	Item   T      `json:"item"`
}

// CheckWatch says whether a format can show changes.
func CheckWatch(f Format) error {
	if f.Name() == "json" || f.Name() == "yaml" {
		return fmt.Errorf("%s has one list and no changes: use -o jsonl", f.Name())
	}
	return nil
}

// Show writes what is new of the list.
func (w *Watched[T]) Show(items []T) error {
	changes := w.changes(items)
	w.known = append([]T{}, items...)
	if len(changes) == 0 && w.written {
		return nil
	}
	defer func() { w.written = true }()
	switch {
	case w.Format.Name() == "jsonl":
		return eachLine(w.Out, changes, lineJSON[Event[T]])
	case w.Format.Name() == "template":
		var there []T
		for _, c := range changes {
			if c.Change != "removed" {
				there = append(there, c.Item)
			}
		}
		return eachLine(w.Out, there, func(item T) ([]byte, error) { return w.Format.execute(item) })
	case cli.IsTerminal(w.Out):
		return w.redraw(items)
	}
	return w.append(changes)
}

// changes are in the order of the list, then what it has no more.
func (w *Watched[T]) changes(items []T) (changes []Event[T]) {
	old := make(map[string]T, len(w.known))
	for _, item := range w.known {
		old[w.Key(item)] = item
	}
	for _, item := range items {
		was, there := old[w.Key(item)]
		switch {
		case !there:
			changes = append(changes, Event[T]{"added", item})
		case !reflect.DeepEqual(was, item):
			changes = append(changes, Event[T]{"changed", item})
		}
		delete(old, w.Key(item))
	}
	for _, item := range w.known {
		if _, gone := old[w.Key(item)]; gone {
			changes = append(changes, Event[T]{"removed", item})
		}
	}
	return changes
}

// redraw begins at the top of the screen, and shows as much as there is room for.
func (w *Watched[T]) redraw(items []T) error {
	const clear = "\x1b[H\x1b[2J"
	const around = 5 // title, header, "and more" and the line of the cursor
	if _, err := fmt.Fprint(w.Out, clear, w.Title(), "\n\n"); err != nil {
		return err
	}
	shown := len(items)
	if _, rows := cli.TerminalSize(w.Out); rows > around {
		shown = min(shown, rows-around)
	}
	err := Write(w.Out, w.Format, w.Columns, items[:shown])
	if more := len(items) - shown; err == nil && more > 0 {
		_, err = fmt.Fprintf(w.Out, "and %d more\n", more)
	}
	return err
}

// append writes rows below one another, with room for what came before.
func (w *Watched[T]) append(changes []Event[T]) error {
	columns := shown(w.Format, w.Columns)
	var lines [][]string
	if !w.written && len(changes) > 0 {
		lines = append(lines, append([]string{"CHANGE"}, header(columns)...))
	}
	for _, c := range changes {
		lines = append(lines, append([]string{c.Change}, rows(columns, []T{c.Item})[0]...))
	}
	for _, line := range lines {
		for i, cell := range line {
			if i == len(w.widths) {
				w.widths = append(w.widths, 0)
			}
			w.widths[i] = max(w.widths[i], len([]rune(cell)))
		}
	}
	for _, line := range lines {
		for i, cell := range line {
			if i < len(line)-1 {
				cell = fmt.Sprintf("%-*s  ", w.widths[i], cell)
			}
			if _, err := fmt.Fprint(w.Out, cell); err != nil {
				return err
			}
		}
		if _, err := fmt.Fprintln(w.Out); err != nil {
			return err
		}
	}
	return nil
}
