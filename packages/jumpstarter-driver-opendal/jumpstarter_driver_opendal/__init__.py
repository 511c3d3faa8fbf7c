"""File storage on any Apache OpenDAL service."""
