//! Decides whether Linux would take a program, with Linux's verdict, log and statistics.
