"""The public place of the label selector functions; they live in `jumpstarter.model.selectors`."""

from jumpstarter.model.selectors import extract_match_labels_filter as extract_match_labels_filter
from jumpstarter.model.selectors import parse_label_selector as parse_label_selector
from jumpstarter.model.selectors import selector_contains as selector_contains
