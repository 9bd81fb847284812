package tui

import (
	"context"

	tea "charm.land/bubbletea/v2"

	"plimsoll/checks"
	"plimsoll/checks/image"
	"plimsoll/fixes"
)

// whyNoQuickLook says why no quick look is taken at the selected image.
func (m *Model) whyNoQuickLook() checks.Message {
	i, ok := m.selectedImage()
	if !ok {
		return checks.Msg("select an image first")
	}
	return m.whyNoLookAt(i)
}

func (m *Model) whyNoLookAt(i *image.Image) checks.Message {
	switch {
	case m.o.ReadOnly:
		return checks.Msg("read-only: a quick look makes a container of the image, and removes it again")
	case m.o.QuickLook == nil:
		return checks.Msg("no quick look can be taken here")
	case i.Files != nil || i.Known != nil:
		return checks.Msg("the layers of this image were read, which says more")
	}
	return checks.Message{}
}

// quickLook looks at the packages of the distribution in the selected image, and
// shows what is known of them.
func (m *Model) quickLook() tea.Cmd {
	i, ok := m.selectedImage()
	if !ok {
		return nil
	}
	m.openVulnerabilities()
	return m.perform(m.lookAt(&m.ui, i.Ref()))
}

func (m *Model) lookAt(u *ui, ref checks.Ref) action {
	look := m.o.QuickLook
	return m.crew.unlocked(u, checks.Image, func(u *ui) action {
		d, cmd := newWork(u, m.crew, checks.Msg("Quick look at the packages"), func(ctx context.Context, _ func(fixes.Progress)) error {
			return look(ctx, ref)
		})
		d.brief = true
		return actions{openDialog{d}, cmd}
	})
}
