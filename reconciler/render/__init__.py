"""Plans and outcomes in words, for people and for programs: `reconciler.render` is `forms.render`."""
