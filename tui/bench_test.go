package tui

import (
	"testing"

	tea "charm.land/bubbletea/v2"

	"plimsoll/checks/inventory"
)

// The world of the benchmarks: 1,000 containers with 5,000 findings.
func bench(b *testing.B, w, h int) *Model {
	m := newModel(b, Options{Fixer: &fakeFixer{}}, w, h)
	m.Update(updateMsg(manyContainers(1000)))
	return m
}

func BenchmarkKeySubjects(b *testing.B) {
	m := bench(b, 160, 45)
	down, up := pressed("down"), pressed("up")
	for i := 0; b.Loop(); i++ {
		k := down
		if i%2 == 1 {
			k = up
		}
		m.Update(k)
		m.View()
	}
}

func BenchmarkKeyFindings(b *testing.B) {
	m := bench(b, 160, 45)
	m.Update(pressed("tab"))
	down := pressed("down")
	for b.Loop() {
		m.Update(down)
		m.View()
	}
}

func BenchmarkTypeFilter(b *testing.B) {
	m := bench(b, 160, 45)
	m.Update(pressed("tab"))
	m.Update(pressed("/"))
	for i := 0; b.Loop(); i++ {
		k := pressed("b")
		if i%2 == 1 {
			k = pressed("backspace")
		}
		m.Update(k)
		m.View()
	}
}

func BenchmarkUpdateOfOneContainer(b *testing.B) {
	m := bench(b, 160, 45)
	u := updateMsg(inventory.Update{Engine: fixture().Engine, Complete: true, Items: manyContainers(1).Items[len(fixture().Items):]})
	for b.Loop() {
		m.Update(u)
		m.View()
	}
}

func BenchmarkDialog(b *testing.B) {
	m := bench(b, 160, 45)
	m.Update(pressed("?"))
	for b.Loop() {
		m.Update(pressed("down"))
		m.View()
	}
}

func BenchmarkFirstFrame(b *testing.B) {
	for b.Loop() {
		m := newModel(b, Options{})
		m.Update(tea.WindowSizeMsg{Width: 160, Height: 45})
		m.View()
	}
}
