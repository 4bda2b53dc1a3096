package view

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
)

func TestAnAnswerIsFromAfterTheQuestion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		release := make(chan uint64)
		e := &end{ask: func(context.Context) (uint64, error) { asked++; return <-release, nil }}
		var all sync.WaitGroup
		answers := make([]uint64, 10)
		for i := range answers {
			all.Go(func() { answers[i], _ = e.get(t.Context()) })
			synctest.Wait() // the first asks, the others wait
		}
		release <- 7
		synctest.Wait()
		release <- 8
		all.Wait()
		if asked != 2 {
			t.Errorf("asked %d times, want 2", asked)
		}
		for i, got := range answers {
			if want := uint64(8); got != want && i > 0 || i == 0 && got != 7 {
				t.Errorf("caller %d was told %d", i, got)
			}
		}
	})
}

func TestOneWhoGoesTakesNobodysAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan uint64)
		e := &end{ask: func(ctx context.Context) (uint64, error) {
			select {
			case last := <-release:
				return last, nil
			case <-ctx.Done():
				return 0, ctx.Err()
			}
		}}
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		var gone error
		all.Go(func() { _, gone = e.get(ctx) })
		synctest.Wait()
		second, cancelSecond := context.WithCancel(t.Context())
		all.Go(func() { _, _ = e.get(second) })
		synctest.Wait()
		var third uint64
		var err error
		all.Go(func() { third, err = e.get(t.Context()) })
		synctest.Wait()
		cancel()
		synctest.Wait() // the second or the third asks now
		cancelSecond()
		synctest.Wait()
		release <- 9
		all.Wait()
		if !errors.Is(gone, context.Canceled) || third != 9 || err != nil {
			t.Errorf("the first ended with %v, the third with %d, %v", gone, third, err)
		}
	})
}
