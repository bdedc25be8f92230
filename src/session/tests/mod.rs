mod driver;
mod fake;
mod handover;
mod hostile;
mod letters;
mod rounds;
mod trust;
